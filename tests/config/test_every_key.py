"""Every key of the schema takes another value, and the resolved configuration shows it.

`CHANGED` maps each key to the text of a value that is not its default. A `type` that has one value
or that can only be changed together with others must refuse an unknown one, naming those allowed.
"""

import pytest

from mindmlm.config import load_config, to_plain
from mindmlm.config.describe import keys
from mindmlm.config.schema import GPT2ModelConfig
from mindmlm.errors import ConfigError

REFUSES = "REFUSES"

GPT2 = (
    "model.model_config.type=GPT2Config",
    "model.arch.type=GPT2LMHeadModel",
    "trainer.type=CausalLanguageModelingTrainer",
)
ELECTRA = (
    "model.model_config.type=ElectraConfig",
    "model.arch.type=ElectraForPreTraining",
    "trainer.type=ReplacedTokenDetectionTrainer",
)
BYTE_LEVEL = "processor.tokenizer.type=GPT2Tokenizer"
# Keys that mean something only beside others, and these.
NEEDS = {
    "distillation.teacher": ("trainer.type=DistillationTrainer",),
    "micro_batch_interleave_num": ("use_parallel=True", "parallel.parallel_mode=1"),
    "generation.num_return_sequences": ("generation.do_sample=True",),
    "model.model_config.embedding_dropout_prob": (*GPT2, BYTE_LEVEL),
    "train_dataset.sentence_pairs": (
        "model.arch.type=BertForPreTraining",
        "train_dataset.sentence_pairs=nsp",
    ),
    "model.model_config.embedding_size": ELECTRA,
    "model.model_config.generator_hidden_size": ELECTRA,
    "model.model_config.generator_layers": ELECTRA,
    "processor.tokenizer.merges_file": (
        *GPT2,
        BYTE_LEVEL,
        "processor.tokenizer.vocab_file=text.txt",
    ),
}

CHANGED = {
    "run_mode": "predict",
    "seed": "7",
    "output_dir": "elsewhere",
    "load_checkpoint": "latest",
    "use_parallel": "True",
    "micro_batch_interleave_num": "2",
    "remote_save_url": "obs://bucket/job",
    "auto_tune": REFUSES,
    "profile": "True",
    "predict_data": "a [MASK]",
    "context.mode": "1",
    "context.device_target": "CPU",
    "context.device_id": "3",
    "context.max_device_memory": "31GB",
    "context.enable_compile_cache": "True",
    "parallel.parallel_mode": "3",
    "parallel.full_batch": "True",
    "parallel.enable_parallel_optimizer": "True",
    "parallel.gradients_mean": "False",
    "parallel_config.data_parallel": "4",
    "parallel_config.model_parallel": "2",
    "parallel_config.pipeline_stage": "4",
    "parallel_config.micro_batch_num": "24",
    "parallel_config.optimizer_shard": "True",
    "parallel_config.vocab_emb_dp": "False",
    "parallel_config.gradient_aggregation_group": "6",
    "recompute_config.recompute": "True",
    "recompute_config.parallel_optimizer_comm_recompute": "True",
    "recompute_config.mp_comm_recompute": "False",
    "recompute_config.recompute_slice_activation": "True",
    "runner_config.epochs": "5",
    "runner_config.batch_size": "5",
    "runner_config.gradient_accumulation_steps": "5",
    "runner_config.max_steps": "5",
    "runner_config.sink_mode": "True",
    "runner_wrapper.max_grad_norm": "null",
    "runner_wrapper.scale_sense.type": "FixedLossScaleUpdateCell",
    "runner_wrapper.scale_sense.loss_scale_value": "128",
    "runner_wrapper.scale_sense.scale_factor": "4",
    "runner_wrapper.scale_sense.scale_window": "10",
    "optimizer.type": "lamb",
    "optimizer.keep_state": "True",
    "optimizer.beta1": "0.8",
    "optimizer.beta2": "0.98",
    "optimizer.eps": "1e-8",
    "optimizer.weight_decay": "0",
    "lr_schedule.type": "cosine",
    "lr_schedule.learning_rate": "1e-4",
    "lr_schedule.lr_end": "1e-6",
    "lr_schedule.warmup_steps": "10",
    "lr_schedule.warmup_ratio": "0.1",
    "lr_schedule.total_steps": "100",
    "lr_schedule.power": "2.0",
    "train_dataset.data_loader.type": "SqlDataLoader",
    "train_dataset.data_loader.dataset_dir": "text.txt",
    "train_dataset.data_loader.shuffle": "False",
    "train_dataset.data_loader.num_samples": "10",
    "train_dataset.data_loader.text_format": "document",
    "train_dataset.data_loader.on_error": "skip",
    "train_dataset.data_loader.max_line_bytes": "100",
    "train_dataset.data_loader.file_format": "jsonl",
    "train_dataset.data_loader.text_field": "[title, body]",
    "train_dataset.data_loader.csv_delimiter": ";",
    "train_dataset.data_loader.cleaning": "[nfkc, sentences]",
    "train_dataset.data_loader.join_lines_up_to": "500",
    "train_dataset.data_loader.min_line_characters": "5",
    "train_dataset.data_loader.max_line_characters": "5000",
    "train_dataset.data_loader.endpoint_url": "http://127.0.0.1:9000",
    "train_dataset.data_loader.credentials_file": "text.txt",
    "train_dataset.data_loader.url": "sqlite:///text.db",
    "train_dataset.data_loader.query": "SELECT 1",
    "train_dataset.data_loader.key_column": "number",
    "train_dataset.data_loader.parameters": "[a=1]",
    "train_dataset.data_loader.slicing": "modulo",
    "train_dataset.data_loader.batch_rows": "50",
    "train_dataset.max_seq_length": "64",
    "train_dataset.sample_mode": "packed",
    "train_dataset.sentence_pairs": "sop",
    "train_dataset.short_seq_prob": "0.3",
    "train_dataset.attend_across_documents": "False",
    "train_dataset.bucket_lengths": "[16, 32]",
    "train_dataset.max_predictions_per_seq": "5",
    "train_dataset.max_question_length": "32",
    "train_dataset.doc_stride": "64",
    "train_dataset.masking.strategy": "token",
    "train_dataset.masking.masked_lm_prob": "0.3",
    "train_dataset.masking.mask_prob": "0.5",
    "train_dataset.masking.random_prob": "0.2",
    "train_dataset.masking.masked_lm_prob_end": "0.4",
    "train_dataset.masking.masked_lm_prob_steps": "100",
    "train_dataset.masking.unit": "word",
    "train_dataset.masking.smoothing": "0.5",
    "train_dataset.masking.mixture.token": "1",
    "train_dataset.masking.mixture.rare_token": "1",
    "train_dataset.masking.mixture.whole_word": "1",
    "train_dataset.masking.mixture.span": "1",
    "train_dataset.masking.mixture.token_span": "1",
    "train_dataset.masking.mixture.ngram": "1",
    "train_dataset.masking.mixture.macbert": "1",
    "train_dataset.masking.term_file": "text.txt",
    "train_dataset.masking.term_weight": "2",
    "train_dataset.masking.similar_words.file": "text.txt",
    "train_dataset.masking.similar_words.antonym_file": "text.txt",
    "train_dataset.masking.similar_words.max_similar": "3",
    "train_dataset.masking.similar_words.max_words": "100",
    "train_dataset.num_parallel_workers": "4",
    "train_dataset.prefetch_size": "2",
    "train_dataset.seed": "9",
    "eval_dataset.data_loader.dataset_dir": "text.txt",
    "eval_dataset.data_loader.num_samples": "10",
    "eval_dataset.data_loader.file_format": "csv",
    "eval_dataset.data_loader.text_field": "body",
    "eval_dataset.data_loader.query": "SELECT 1",
    "eval_dataset.holdout_fraction": "0.1",
    "eval_dataset.batch_size": "32",
    "callbacks.MFLossMonitor.per_print_times": "1",
    "callbacks.CheckpointMonitor.save_checkpoint_steps": "7",
    "callbacks.CheckpointMonitor.keep_checkpoint_max": "2",
    "callbacks.EvalMonitor.eval_steps": "null",
    "callbacks.EvalMonitor.eval_on_start": "False",
    "processor.tokenizer.type": REFUSES,
    "processor.tokenizer.vocab_file": "text.txt",
    "processor.tokenizer.merges_file": "text.txt",
    "processor.tokenizer.do_lower_case": "False",
    "processor.tokenizer.train_vocab_size": "1000",
    "processor.segmenter": "none",
    "processor.user_dict": "text.txt",
    "processor.hmm": "False",
    "processor.reference_file": "text.txt",
    "generation.max_new_tokens": "10",
    "generation.do_sample": "True",
    "generation.temperature": "0.5",
    "generation.top_k": "10",
    "generation.top_p": "0.9",
    "generation.repetition_penalty": "1.2",
    "generation.num_beams": "4",
    "generation.length_penalty": "2.0",
    "generation.early_stopping": "True",
    "generation.num_return_sequences": "3",
    "generation.eos_token_id": "[5]",
    "generation.stop": "[end]",
    "generation.seed": "7",
    "generation.stream": "True",
    "distillation.teacher": "large",
    "distillation.teacher_layers": "[0, 11]",
    "distillation.temperature": "3.0",
    "distillation.alpha_ce": "1.0",
    "distillation.alpha_mlm": "1.0",
    "distillation.alpha_cos": "0.5",
    "distillation.restrict_ce_to_mask": "True",
    "distillation.freeze_position_embeddings": "True",
    "metric.version": "cmrc2018",
    "metric.n_best_size": "10",
    "metric.max_answer_length": "50",
    "metric.null_score_diff_threshold": "-1.5",
    "metric.top_k": "3",
    "electra.gen_weight": "2.0",
    "electra.disc_weight": "20.0",
    "electra.temperature": "0.5",
    "model.model_config.type": REFUSES,
    "model.model_config.vocab_size": "30000",
    "model.model_config.hidden_size": "384",
    "model.model_config.num_hidden_layers": "6",
    "model.model_config.num_attention_heads": "6",
    "model.model_config.intermediate_size": "1000",
    "model.model_config.hidden_act": "relu",
    "model.model_config.hidden_dropout_prob": "0",
    "model.model_config.attention_probs_dropout_prob": "0",
    "model.model_config.max_position_embeddings": "256",
    "model.model_config.type_vocab_size": "1",
    "model.model_config.initializer_range": "0.01",
    "model.model_config.layer_norm_eps": "1e-6",
    "model.model_config.post_layernorm_residual": "False",
    "model.model_config.add_pooling_layer": "True",
    "model.model_config.compute_dtype": "float16",
    "model.model_config.embedding_dropout_prob": "0",
    "model.model_config.embedding_size": "64",
    "model.model_config.generator_hidden_size": "0.5",
    "model.model_config.generator_layers": "0.5",
    "model.arch.type": REFUSES,
    "trainer.type": REFUSES,
    "trainer.model_name": "mine",
}


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("a\n")
    (tmp_path / "run.yaml").write_text("trainer: {}\n")
    return lambda *options: load_config("run.yaml", options, require_inputs=False)


def flat(tree, prefix=""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def test_the_table_names_every_key_and_no_other():
    assert CHANGED.keys() == keys().keys()


@pytest.mark.parametrize("key", [key for key, value in CHANGED.items() if value != REFUSES])
def test_a_changed_key_changes_the_resolved_config_and_nothing_else(load, key):
    kind = NEEDS.get(key, ())
    before = dict(flat(to_plain(load(*kind).config)))
    loaded = load(*kind, f"{key}={CHANGED[key]}")
    after = dict(flat(to_plain(loaded.config)))
    assert {name for name in before if before[name] != after[name]} == {key}
    assert loaded.origins[key] == f"--options {key}={CHANGED[key]}"


@pytest.mark.parametrize("key", [key for key, value in CHANGED.items() if value == REFUSES])
def test_a_type_refuses_what_it_does_not_know(load, key):
    with pytest.raises(ConfigError) as error:
        load(f"{key}=Another")
    assert f"{key}: expected {keys()[key].allowed}, got" in str(error.value)


def test_the_three_types_of_a_model_go_together(load):
    config = load(*GPT2, BYTE_LEVEL).config
    assert config.model.settings == GPT2ModelConfig()
    for number in range(len(GPT2)):
        with pytest.raises(ConfigError, match=r"model\.arch\.type"):
            load(*GPT2[:number], *GPT2[number + 1 :])


@pytest.mark.parametrize("key", keys().values(), ids=keys())
def test_every_key_is_explained(key):
    assert len(key.description) > 10
    assert key.description.endswith((".", "?"))
    assert key.allowed
