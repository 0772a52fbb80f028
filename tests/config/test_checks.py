"""Rules across keys: each refuses what it should, with the key, and lets its neighbour pass."""

import inspect
from importlib import import_module
from pkgutil import iter_modules

import pytest

from mindmlm.config import checks, load_config
from mindmlm.errors import ConfigError

from .distillation_rules import DISTILLATION_RULES
from .electra_rules import ELECTRA_RULES
from .pretraining_rules import ALSO_REFUSED, PRETRAINING_RULES
from .question_rules import QUESTION_RULES
from .registered_rules import REGISTERED_RULES

MODEL = "model.model_config."
DATA = "train_dataset."
TOKENIZER = "processor.tokenizer."
GPT2 = [
    f"{MODEL}type=GPT2Config",
    "model.arch.type=GPT2LMHeadModel",
    "trainer.type=CausalLanguageModelingTrainer",
    f"{TOKENIZER}type=GPT2Tokenizer",
]
CUTS = "parallel_config."
SEMI_AUTO = ["use_parallel=True", "parallel.parallel_mode=semi_auto_parallel"]
PREDICTS = ["run_mode=predict"]
TEXT = [f"{DATA}data_loader.dataset_dir=here.txt"]
UNEVEN = [f"{CUTS}model_parallel=2", f"{CUTS}vocab_emb_dp=False"]

# check -> (options refused, key named, part of the message, options just inside)
RULES = {
    **QUESTION_RULES,
    **PRETRAINING_RULES,
    **ELECTRA_RULES,
    **DISTILLATION_RULES,
    **REGISTERED_RULES,
    "heads_divide_hidden": (
        [f"{MODEL}hidden_size=100", f"{MODEL}num_attention_heads=3"],
        f"{MODEL}num_attention_heads",
        "3 heads do not divide hidden_size 100",
        [f"{MODEL}hidden_size=99", f"{MODEL}num_attention_heads=3"],
    ),
    "results_go_somewhere_else": (
        ["remote_save_url=ftp://host/folder"],
        "remote_save_url",
        "ftp:// is not known",
        ["remote_save_url=s3://bucket/folder"],
    ),
    "interleaving_has_an_engine": (
        ["micro_batch_interleave_num=2"],
        "micro_batch_interleave_num",
        "there are none here; use 1",
        ["micro_batch_interleave_num=1"],
    ),
    "generation_agrees": (
        ["generation.num_beams=2", "generation.num_return_sequences=3"],
        "generation.num_return_sequences",
        "3 texts are more than the 2 that num_beams follows",
        ["generation.num_beams=3", "generation.num_return_sequences=3"],
    ),
    "continuation_fits_positions": (
        [
            *GPT2,
            *PREDICTS,
            f"{MODEL}max_position_embeddings=512",
            "generation.max_new_tokens=512",
        ],
        "generation.max_new_tokens",
        "512 new tokens and a prompt are more than",
        [
            *GPT2,
            *PREDICTS,
            f"{MODEL}max_position_embeddings=512",
            "generation.max_new_tokens=511",
        ],
    ),
    "generation_runs_once": (
        [*GPT2, *PREDICTS, "use_parallel=True", f"{CUTS}data_parallel=2"],
        f"{CUTS}data_parallel",
        "2 groups would write the same texts",
        [*GPT2, *PREDICTS, "use_parallel=True", f"{CUTS}model_parallel=2"],
    ),
    "one_process_fills_blanks": (
        [*PREDICTS, "use_parallel=True", f"{CUTS}model_parallel=2"],
        "use_parallel",
        "run_mode predict of an encoder runs in one process",
        [*PREDICTS, "use_parallel=False", f"{CUTS}model_parallel=2"],
    ),
    "kinds_agree": (
        ["trainer.type=CausalLanguageModelingTrainer"],
        "model.arch.type",
        "BertForMaskedLM goes with trainer.type: MaskedLanguageModelingTrainer",
        ["trainer.type=MaskedLanguageModelingTrainer"],
    ),
    "tokenizer_fits_network": (
        [*GPT2[:3], f"{TOKENIZER}type=BertTokenizer"],
        f"{TOKENIZER}type",
        "GPT2Config, which reads the tokens of GPT2Tokenizer, not of BertTokenizer",
        GPT2,
    ),
    "merges_are_used": (
        [f"{TOKENIZER}merges_file=here.txt", f"{TOKENIZER}vocab_file=here.txt"],
        f"{TOKENIZER}merges_file",
        "BertTokenizer has no merges; remove it",
        [*GPT2, f"{TOKENIZER}merges_file=here.txt", f"{TOKENIZER}vocab_file=here.txt"],
    ),
    "trained_vocabulary_has_room": (
        [*GPT2, f"{TOKENIZER}train_vocab_size=256"],
        f"{TOKENIZER}train_vocab_size",
        "256 is less than the 256 bytes and <|endoftext|>; at least 257",
        [*GPT2, f"{TOKENIZER}train_vocab_size=257"],
    ),
    "rows_fit_positions": (
        [f"{DATA}max_seq_length=513"],
        f"{DATA}max_seq_length",
        "longer than model.model_config.max_position_embeddings, 512",
        [f"{DATA}max_seq_length=512"],
    ),
    "predictions_fit_rows": (
        [f"{DATA}max_seq_length=10", f"{DATA}max_predictions_per_seq=9"],
        f"{DATA}max_predictions_per_seq",
        "at most 8",
        [f"{DATA}max_seq_length=10", f"{DATA}max_predictions_per_seq=8"],
    ),
    "bucket_lengths_ascend": (
        [f"{DATA}max_seq_length=64", f"{DATA}bucket_lengths=[32,64]"],
        f"{DATA}bucket_lengths",
        "must ascend and stay below max_seq_length 64",
        [f"{DATA}max_seq_length=64", f"{DATA}bucket_lengths=[16,63]"],
    ),
    "full_sentences_are_masked_rows": (
        [f"{DATA}sample_mode=full_sentences", f"{DATA}attend_across_documents=False"],
        f"{DATA}attend_across_documents",
        "sample_mode full_sentences joins them",
        [f"{DATA}sample_mode=full_sentences"],
    ),
    "records_have_a_vocabulary": (
        [f"{DATA}data_loader.type=MindDataset", f"{DATA}data_loader.dataset_dir=here.txt"],
        "processor.tokenizer.vocab_file",
        "the vocabulary that the records were built with",
        [
            f"{DATA}data_loader.type=MindDataset",
            f"{DATA}data_loader.dataset_dir=here.txt",
            "processor.tokenizer.vocab_file=here.txt",
        ],
    ),
    "mask_probabilities": (
        [f"{DATA}masking.mask_prob=0.8", f"{DATA}masking.random_prob=0.21"],
        f"{DATA}masking.random_prob",
        "is more than 1",
        [f"{DATA}masking.mask_prob=0.9", f"{DATA}masking.random_prob=0.1"],
    ),
    "mixture_has_weights": (
        [f"{DATA}masking.strategy=mixture"],
        f"{DATA}masking.mixture",
        "all weights are 0",
        [f"{DATA}masking.strategy=mixture", f"{DATA}masking.mixture.span=1"],
    ),
    "reference_file_is_usable": (
        ["processor.segmenter=reference_file"],
        "processor.reference_file",
        "needs the file of word ids",
        ["processor.segmenter=reference_file", "processor.reference_file=here.txt"],
    ),
    "one_warmup": (
        ["lr_schedule.warmup_steps=10", "lr_schedule.warmup_ratio=0.1"],
        "lr_schedule.warmup_steps",
        "both given",
        ["lr_schedule.warmup_steps=10", "lr_schedule.warmup_ratio=null"],
    ),
    "warmup_fits_schedule": (
        ["lr_schedule.warmup_steps=10", "lr_schedule.total_steps=10"],
        "lr_schedule.warmup_steps",
        "not less than total_steps 10",
        ["lr_schedule.warmup_steps=9", "lr_schedule.total_steps=10"],
    ),
    "rate_falls": (
        ["lr_schedule.learning_rate=1e-5", "lr_schedule.lr_end=1e-4"],
        "lr_schedule.lr_end",
        "above learning_rate",
        ["lr_schedule.learning_rate=1e-4", "lr_schedule.lr_end=1e-4"],
    ),
    "float16_needs_loss_scale": (
        [f"{MODEL}compute_dtype=float16", "runner_wrapper.scale_sense=null"],
        "runner_wrapper.scale_sense",
        "needs loss scaling",
        [f"{MODEL}compute_dtype=float32", "runner_wrapper.scale_sense=null"],
    ),
    "semi_auto_trains": (
        [*SEMI_AUTO, "run_mode=eval", "load_checkpoint=latest", *TEXT],
        "parallel.parallel_mode",
        "1 (semi_auto_parallel) trains only, and run_mode is eval",
        [*SEMI_AUTO, "run_mode=finetune", "load_checkpoint=latest", *TEXT],
    ),
    "semi_auto_divides": (
        [*SEMI_AUTO, *UNEVEN, f"{MODEL}vocab_size=8001"],
        f"{CUTS}vocab_emb_dp",
        "does not divide model.model_config.vocab_size 8001",
        [*SEMI_AUTO, *UNEVEN, f"{MODEL}vocab_size=8002"],
    ),
    "engine_has_mode": (
        ["use_parallel=True", "parallel.parallel_mode=auto_parallel"],
        "parallel.parallel_mode",
        "use 1 (semi_auto_parallel, Ascend) or 3 (hybrid_parallel",
        ["use_parallel=False", "parallel.parallel_mode=auto_parallel"],
    ),
    "engine_runs_on_device": (
        [*SEMI_AUTO, "context.device_target=CPU"],
        "parallel.parallel_mode",
        "refused on a CPU: MindSpore's engine for it cuts Ascend graphs only; use 3 (hybrid",
        [*SEMI_AUTO, "context.device_target=Ascend"],
    ),
    "semi_auto_has_graphs": (
        [*SEMI_AUTO, "context.device_target=Ascend", "context.mode=1"],
        "context.mode",
        "no graph that parallel.parallel_mode 1 (semi_auto_parallel) could cut",
        ["parallel.parallel_mode=1", "context.device_target=Ascend", "context.mode=1"],
    ),
    "mode_cuts_what_is_asked": (
        ["use_parallel=True", "parallel.parallel_mode=0", f"{CUTS}model_parallel=2"],
        "parallel.parallel_mode",
        "0 (data_parallel) does not cut the model",
        ["use_parallel=True", "parallel.parallel_mode=0", f"{CUTS}data_parallel=2"],
    ),
    "one_optimizer_switch": (
        [f"{CUTS}optimizer_shard=True", "parallel.enable_parallel_optimizer=False"],
        f"{CUTS}optimizer_shard",
        "both switch ZeRO-1",
        [f"{CUTS}optimizer_shard=True", "parallel.enable_parallel_optimizer=True"],
    ),
    "model_parallel_divides": (
        ["use_parallel=True", f"{CUTS}model_parallel=4", f"{MODEL}intermediate_size=1002"],
        f"{CUTS}model_parallel",
        "4 does not divide model.model_config.intermediate_size 1002",
        ["use_parallel=False", f"{CUTS}model_parallel=4", f"{MODEL}intermediate_size=1002"],
    ),
    "stages_have_layers": (
        ["use_parallel=True", f"{CUTS}pipeline_stage=4", f"{MODEL}num_hidden_layers=3"],
        f"{CUTS}pipeline_stage",
        "4 stages need as many layers, and model.model_config.num_hidden_layers is 3",
        ["use_parallel=True", f"{CUTS}pipeline_stage=3", f"{MODEL}num_hidden_layers=3"],
    ),
    "vocabulary_fits_embedding": (
        [f"{MODEL}vocab_size=99", "processor.tokenizer.train_vocab_size=100"],
        f"{MODEL}vocab_size",
        "99 is less than the 100 entries",
        [f"{MODEL}vocab_size=100", "processor.tokenizer.train_vocab_size=100"],
    ),
    "table_is_described": (
        [f"{DATA}data_loader.parameters=[a]"],
        f"{DATA}data_loader.parameters",
        "expected name=value, got 'a'",
        [f"{DATA}data_loader.parameters=[a=1]", f"{DATA}data_loader.url=sqlite:///a.db"],
    ),
    "paths_exist": (
        ["processor.tokenizer.vocab_file=nowhere.txt"],
        "processor.tokenizer.vocab_file",
        "nowhere.txt: no such file",
        ["processor.tokenizer.vocab_file=here.txt"],
    ),
    "text_is_given": (
        ["run_mode=train"],
        f"{DATA}data_loader.dataset_dir",
        "add --dataset_dir",
        ["run_mode=train", f"{DATA}data_loader.dataset_dir=here.txt"],
    ),
    "checkpoint_is_given": (
        ["run_mode=eval", f"{DATA}data_loader.dataset_dir=here.txt"],
        "load_checkpoint",
        "add --load_checkpoint",
        ["run_mode=eval", f"{DATA}data_loader.dataset_dir=here.txt", "load_checkpoint=latest"],
    ),
    "prediction_is_given": (
        ["run_mode=predict", "load_checkpoint=latest"],
        "predict_data",
        "add --predict_data",
        ["run_mode=predict", "load_checkpoint=latest", "predict_data=a [MASK]"],
    ),
    "every_process_can_read": (
        ["use_parallel=True", f"{DATA}data_loader.dataset_dir=-"],
        f"{DATA}data_loader.dataset_dir",
        "cannot be read by several processes",
        ["use_parallel=False", f"{DATA}data_loader.dataset_dir=-"],
    ),
    "no_data_sinking": (
        ["runner_config.sink_mode=True", "context.device_target=CPU"],
        "runner_config.sink_mode",
        "refused on a CPU",
        ["runner_config.sink_mode=False", "context.device_target=CPU"],
    ),
    "dtype_runs_on_device": (
        [f"{MODEL}compute_dtype=bfloat16", "context.device_target=CPU"],
        f"{MODEL}compute_dtype",
        "refused on a CPU",
        [f"{MODEL}compute_dtype=bf16", "context.device_target=Ascend"],
    ),
}
INPUT_RULES = {check.__name__ for check in checks.INPUTS}


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.txt").write_text("[PAD]\n")
    (tmp_path / "run.yaml").write_text("seed: 1\n")
    return lambda given, rule: load_config("run.yaml", given, require_inputs=rule in INPUT_RULES)


def test_every_rule_is_tested_and_in_use():
    modules = [
        import_module(f"{checks.__name__}.{found.name}") for found in iter_modules(checks.__path__)
    ]
    defined = {
        name
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isgeneratorfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and "config" in inspect.signature(function).parameters
    }
    used = {check.__name__ for check in (*checks.CONSISTENCY, *checks.INPUTS, *checks.DEVICE)}
    # Those that look at the environment are tested in test_parallel_settings.py.
    assert defined == used | {check.__name__ for check in checks.LAUNCH}
    assert used == RULES.keys()


@pytest.mark.parametrize("rule", RULES)
def test_rule_refuses(load, rule):
    options, key, message, _ = RULES[rule]
    with pytest.raises(ConfigError) as error:
        load(options, rule)
    lines = str(error.value).splitlines()
    assert len(lines) == 1
    assert f" {key}: " in lines[0].replace("run.yaml:", " ")
    assert message in lines[0]
    named = [option for option in options if option.startswith(f"{key}=")]
    assert lines[0].startswith(f"--options {named[0]}: " if named else "run.yaml: ")


@pytest.mark.parametrize("rule", RULES)
def test_rule_lets_its_neighbour_pass(load, rule):
    load(RULES[rule][3], rule if rule in INPUT_RULES else "")


@pytest.mark.parametrize(("options", "key", "message"), ALSO_REFUSED)
def test_what_does_not_go_with_pairs(load, options, key, message):
    with pytest.raises(ConfigError, match=rf"{key}: .*{message}"):
        load(options, "")


def test_predictions_that_follow_from_the_probability(load):
    with pytest.raises(ConfigError, match=r"masking\.masked_lm_prob: 10 predictions"):
        load([f"{DATA}max_seq_length=10", f"{DATA}masking.masked_lm_prob=0.95"], "")


def test_vocabulary_file_against_embedding(load, tmp_path):
    (tmp_path / "here.txt").write_text("a\nb\nc\n\n")
    options = ["processor.tokenizer.vocab_file=here.txt"]
    load([*options, f"{MODEL}vocab_size=3"], "")
    with pytest.raises(ConfigError, match=r"2 is less than the 3 entries .*here\.txt"):
        load([*options, f"{MODEL}vocab_size=2"], "")


def test_a_folder_is_no_vocabulary(load, tmp_path):
    with pytest.raises(ConfigError, match="is a folder"):
        load([f"processor.tokenizer.vocab_file={tmp_path}"], "")


def test_auto_is_checked_when_the_device_is_known(load):
    loaded = load([f"{MODEL}compute_dtype=bfloat16"], "")
    loaded.require_device("Ascend")
    with pytest.raises(ConfigError, match=r"compute_dtype=bfloat16: .*refused"):
        loaded.require_device("CPU")


def test_all_problems_are_reported_at_once(load):
    with pytest.raises(ConfigError) as error:
        load([f"{MODEL}num_attention_heads=5", "lr_schedule.lr_end=1"], "")
    assert len(str(error.value).splitlines()) == 2
