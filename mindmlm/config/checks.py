"""Rules across keys. Each is a small function that yields the problems it finds.

`CONSISTENCY` holds for every run; `INPUTS` says what a run mode needs, which a dry run may lack;
`DEVICE` needs to know the device.
"""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

from mindmlm.config.database_url import url_fault
from mindmlm.config.problems import Problem
from mindmlm.config.schema import RunConfig

Check = Callable[[RunConfig], Iterator[Problem]]
DeviceCheck = Callable[[RunConfig, str], Iterator[Problem]]


def heads_divide_hidden(config: RunConfig) -> Iterator[Problem]:
    """Every attention head has hidden_size / num_attention_heads columns."""
    model = config.model.settings
    if model.hidden_size % model.num_attention_heads:
        yield Problem(
            "model.model_config.num_attention_heads",
            f"{model.num_attention_heads} heads do not divide hidden_size {model.hidden_size}; "
            "choose a divisor",
        )


def rows_fit_positions(config: RunConfig) -> Iterator[Problem]:
    """The model has no embedding for a position it was not built for."""
    rows, positions = (
        config.train_dataset.max_seq_length,
        config.model.settings.max_position_embeddings,
    )
    if rows > positions:
        yield Problem(
            "train_dataset.max_seq_length",
            f"rows of {rows} tokens are longer than "
            f"model.model_config.max_position_embeddings, {positions}",
        )


def predictions_fit_rows(config: RunConfig) -> Iterator[Problem]:
    """[CLS] and [SEP] are never predicted."""
    data = config.train_dataset
    room = data.max_seq_length - 2
    given = data.max_predictions_per_seq
    rate = max(data.masking.masked_lm_prob, data.masking.masked_lm_prob_end or 0.0)
    wanted = given or math.ceil(rate * data.max_seq_length)
    if wanted > room:
        path = "max_predictions_per_seq" if given else "masking.masked_lm_prob"
        yield Problem(
            f"train_dataset.{path}",
            f"{wanted} predictions do not fit a row of max_seq_length {data.max_seq_length}: at "
            f"most {room} (two tokens are [CLS] and [SEP])",
        )


def bucket_lengths_ascend(config: RunConfig) -> Iterator[Problem]:
    """Every bucket is longer than the one before and shorter than a whole row."""
    data = config.train_dataset
    lengths = [*data.bucket_lengths, data.max_seq_length]
    if any(first >= second for first, second in pairwise(lengths)):
        yield Problem(
            "train_dataset.bucket_lengths",
            f"{data.bucket_lengths} must ascend and stay below max_seq_length "
            f"{data.max_seq_length}",
        )


def mask_probabilities(config: RunConfig) -> Iterator[Problem]:
    """[MASK], random and unchanged share the predicted tokens."""
    masking = config.train_dataset.masking
    if masking.mask_prob + masking.random_prob > 1 + 1e-9:
        yield Problem(
            "train_dataset.masking.random_prob",
            f"mask_prob {masking.mask_prob} + random_prob {masking.random_prob} is more than 1",
        )


def mixture_has_weights(config: RunConfig) -> Iterator[Problem]:
    """Each row draws its strategy by the weights."""
    masking = config.train_dataset.masking
    if masking.strategy == "mixture" and not any(masking.mixture.model_dump().values()):
        yield Problem(
            "train_dataset.masking.mixture",
            "all weights are 0; give some, for example whole_word: 1 and span: 1",
        )


def macbert_has_words(config: RunConfig) -> Iterator[Problem]:
    """MacBERT puts similar words in place of whole words."""
    masking = config.train_dataset.masking
    mixed = masking.strategy == "mixture" and masking.mixture.macbert
    if masking.strategy != "macbert" and not mixed:
        return
    if not masking.similar_words.file:
        yield Problem(
            "train_dataset.masking.similar_words.file",
            "macbert needs a file of word vectors or of synonyms",
        )
    if masking.unit == "piece":
        yield Problem(
            "train_dataset.masking.unit",
            "macbert replaces whole words; use published or word",
        )


def reference_file_is_usable(config: RunConfig) -> Iterator[Problem]:
    """Its lines are paired with those of the text, one by one."""
    if config.processor.segmenter != "reference_file":
        return
    if not config.processor.reference_file:
        yield Problem(
            "processor.reference_file", "segmenter reference_file needs the file of word ids"
        )
    if config.train_dataset.data_loader.on_error == "skip":
        yield Problem(
            "train_dataset.data_loader.on_error",
            "skip would shift the lines of processor.reference_file; use raise",
        )


def one_warmup(config: RunConfig) -> Iterator[Problem]:
    """A warm-up is given in steps or as a ratio."""
    schedule = config.lr_schedule
    if schedule.warmup_steps and schedule.warmup_ratio:
        yield Problem(
            "lr_schedule.warmup_steps",
            f"warmup_steps {schedule.warmup_steps} and warmup_ratio {schedule.warmup_ratio} are "
            "both given; set one of them (warmup_steps to 0 or warmup_ratio to null)",
        )


def warmup_fits_schedule(config: RunConfig) -> Iterator[Problem]:
    """The curve must reach its top before it ends."""
    schedule = config.lr_schedule
    if schedule.total_steps and schedule.warmup_steps >= schedule.total_steps:
        yield Problem(
            "lr_schedule.warmup_steps",
            f"{schedule.warmup_steps} is not less than total_steps {schedule.total_steps}",
        )


def rate_falls(config: RunConfig) -> Iterator[Problem]:
    """The schedules decay towards lr_end."""
    schedule = config.lr_schedule
    if schedule.lr_end > schedule.learning_rate:
        yield Problem(
            "lr_schedule.lr_end",
            f"{schedule.lr_end} is above learning_rate {schedule.learning_rate}; "
            "the rate falls from one to the other",
        )


def float16_needs_loss_scale(config: RunConfig) -> Iterator[Problem]:
    """Gradients below 6e-8 become zero in float16."""
    if config.model.settings.compute_dtype == "float16" and not config.runner_wrapper.scale_sense:
        yield Problem(
            "runner_wrapper.scale_sense",
            "compute_dtype float16 needs loss scaling (small gradients become zero); remove the "
            "null, or use float32",
        )


def one_process(config: RunConfig) -> Iterator[Problem]:
    """Several devices need the parallel engine."""
    if config.use_parallel:
        yield Problem(
            "use_parallel",
            "True needs the parallel engine, which this version does not have; use False",
        )


def vocabulary_fits_embedding(config: RunConfig) -> Iterator[Problem]:
    """The embedding has a row for every token."""
    rows, tokenizer = config.model.settings.vocab_size, config.processor.tokenizer
    if rows is None:
        return
    if tokenizer.vocab_file:
        entries = _count_lines(Path(tokenizer.vocab_file))
        source = tokenizer.vocab_file
    else:
        entries = tokenizer.train_vocab_size
        source = "processor.tokenizer.train_vocab_size"
    if entries > rows:
        yield Problem(
            "model.model_config.vocab_size",
            f"{rows} is less than the {entries} entries of the vocabulary ({source}); use null "
            "for the tokenizer's size, or a larger number",
        )


def paths_exist(config: RunConfig) -> Iterator[Problem]:
    """A file that is named must be there."""
    named = {
        "processor.tokenizer.vocab_file": config.processor.tokenizer.vocab_file,
        "train_dataset.data_loader.dataset_dir": config.train_dataset.data_loader.dataset_dir,
        "eval_dataset.data_loader.dataset_dir": config.eval_dataset.data_loader.dataset_dir,
        "processor.user_dict": config.processor.user_dict,
        "train_dataset.data_loader.credentials_file": (
            config.train_dataset.data_loader.credentials_file
        ),
        "processor.reference_file": config.processor.reference_file,
        "train_dataset.masking.term_file": config.train_dataset.masking.term_file,
        "train_dataset.masking.similar_words.file": (
            config.train_dataset.masking.similar_words.file
        ),
        "train_dataset.masking.similar_words.antonym_file": (
            config.train_dataset.masking.similar_words.antonym_file
        ),
    }
    for path, name in named.items():
        if (
            name
            and not (path.endswith("dataset_dir") and _is_no_path(name))
            and not _exists(Path(name))
        ):
            yield Problem(path, f"{name}: no such file or folder")
    vocab = config.processor.tokenizer.vocab_file
    if vocab and _exists(Path(vocab)) and Path(vocab).is_dir():
        yield Problem("processor.tokenizer.vocab_file", f"{vocab} is a folder; name the vocab.txt")


def table_is_described(config: RunConfig) -> Iterator[Problem]:
    """No password in an address, and every parameter has a name."""
    loader = config.train_dataset.data_loader
    if loader.url and (fault := url_fault(loader.url)):
        yield Problem("train_dataset.data_loader.url", fault)
    for text in loader.parameters:
        if not text.partition("=")[0].isidentifier() or "=" not in text:
            yield Problem(
                "train_dataset.data_loader.parameters",
                f"expected name=value, got {text!r}; the name is that of :name in the query",
            )


def text_is_given(config: RunConfig) -> Iterator[Problem]:
    """Training and evaluation read text."""
    loader = config.train_dataset.data_loader
    if loader.type == "SqlDataLoader":
        yield from _table_is_given(config)
        return
    if loader.url or loader.query:
        yield Problem(
            "train_dataset.data_loader.type",
            "url and query are those of a table; use SqlDataLoader, or remove them",
        )
    train = loader.dataset_dir
    evaluation = config.eval_dataset.data_loader.dataset_dir
    if config.run_mode in ("train", "finetune") and not train:
        yield Problem(
            "train_dataset.data_loader.dataset_dir",
            f"run_mode {config.run_mode} needs a text; add --dataset_dir FILE_OR_FOLDER",
        )
    if config.run_mode == "eval" and not (train or evaluation):
        yield Problem(
            "eval_dataset.data_loader.dataset_dir",
            "run_mode eval needs a text; add --dataset_dir FILE_OR_FOLDER",
        )


def records_have_a_vocabulary(config: RunConfig) -> Iterator[Problem]:
    """Records hold ids, which mean nothing without the vocabulary they were built with."""
    loader, named = config.train_dataset.data_loader, config.processor.tokenizer.vocab_file
    is_records = loader.type in ("MindDataset", "TFRecordDataset")
    if is_records and not (named or config.load_checkpoint) and config.run_mode == "train":
        yield Problem(
            "processor.tokenizer.vocab_file",
            f"{loader.type} needs the vocabulary that the records were built with; add "
            "--vocab_file vocab.txt",
        )


def checkpoint_is_given(config: RunConfig) -> Iterator[Problem]:
    """Everything but training starts from weights that exist."""
    if config.run_mode != "train" and not config.load_checkpoint:
        yield Problem(
            "load_checkpoint",
            f"run_mode {config.run_mode} needs a checkpoint; add --load_checkpoint PATH "
            "(or latest, for the newest in output_dir)",
        )


def prediction_is_given(config: RunConfig) -> Iterator[Problem]:
    """There must be something to fill in."""
    if config.run_mode == "predict" and not config.predict_data:
        yield Problem(
            "predict_data",
            'run_mode predict needs a text; add --predict_data "a text with a [MASK] in it"',
        )


def no_sinking_on_cpu(config: RunConfig, device_target: str) -> Iterator[Problem]:
    """Data sinking is a feature of Ascend graphs."""
    if config.runner_config.sink_mode and device_target == "CPU":
        yield Problem(
            "runner_config.sink_mode",
            "True is refused on a CPU: data sinking is a feature of Ascend graphs; use False",
        )


def dtype_runs_on_device(config: RunConfig, device_target: str) -> Iterator[Problem]:
    """MindSpore's CPU back-end has no bfloat16 matrix product."""
    if config.model.settings.compute_dtype == "bfloat16" and device_target == "CPU":
        yield Problem(
            "model.model_config.compute_dtype",
            "bfloat16 is refused on a CPU: MindSpore has no bfloat16 MatMul there; use float32",
        )


CONSISTENCY: tuple[Check, ...] = (
    heads_divide_hidden,
    rows_fit_positions,
    predictions_fit_rows,
    bucket_lengths_ascend,
    mask_probabilities,
    mixture_has_weights,
    macbert_has_words,
    reference_file_is_usable,
    one_warmup,
    warmup_fits_schedule,
    rate_falls,
    float16_needs_loss_scale,
    one_process,
    vocabulary_fits_embedding,
    paths_exist,
    table_is_described,
)
INPUTS: tuple[Check, ...] = (
    text_is_given,
    records_have_a_vocabulary,
    checkpoint_is_given,
    prediction_is_given,
)
DEVICE: tuple[DeviceCheck, ...] = (no_sinking_on_cpu, dtype_runs_on_device)


def check_consistency(config: RunConfig) -> list[Problem]:
    """Return what contradicts itself, whatever the device and the inputs."""
    return [problem for check in CONSISTENCY for problem in check(config)]


def check_inputs(config: RunConfig) -> list[Problem]:
    """Return the inputs that the run mode needs and that are not given."""
    return [problem for check in INPUTS for problem in check(config)]


def check_device(config: RunConfig, device_target: str) -> list[Problem]:
    """Return what `device_target` ("CPU" or "Ascend") cannot run."""
    return [problem for check in DEVICE for problem in check(config, device_target)]


def _table_is_given(config: RunConfig) -> Iterator[Problem]:
    section = "train_dataset.data_loader"
    loader = config.train_dataset.data_loader
    if config.run_mode == "predict":
        return
    for name, value in (("url", loader.url), ("query", loader.query)):
        if not value:
            yield Problem(f"{section}.{name}", "SqlDataLoader needs it; say which rows to read")
    if loader.dataset_dir:
        yield Problem(f"{section}.dataset_dir", "SqlDataLoader reads no files; remove it")
    if len(loader.text_field) > 1:
        yield Problem(f"{section}.text_field", "SqlDataLoader reads one column; concatenate in SQL")


def _exists(path: Path) -> bool:
    """Return whether the path is there; False for a name that the system cannot have."""
    try:
        return path.exists()
    except OSError:
        return False


def _is_no_path(text: str) -> bool:
    """Return whether a text stands for standard input, an address or a pattern."""
    return text == "-" or "://" in text or any(character in text for character in "*?[")


def _count_lines(path: Path) -> int:
    """Return the number of lines that hold something; 0 when there is no such file."""
    if not _exists(path) or not path.is_file():
        return 0
    with path.open("rb") as file:
        return sum(1 for line in file if line.strip())
