"""What a run mode needs, and a dry run may lack."""

from collections.abc import Iterator

from mindmlm.config.problems import Problem
from mindmlm.config.schema import GPT2ModelConfig, RunConfig

_EXAMPLES = {
    "BertForMaskedLM": "a text with a [MASK] in it",
    "BertForPreTraining": "a text with a [MASK] in it",
    "RobertaForMaskedLM": "a text with a <mask> in it",
    "BertForQuestionAnswering": "My name is Ada and I live in London - Where do I live?",
    "GPT2LMHeadModel": "Once upon a time",
    "ElectraForPreTraining": "the chef ate the meal",
}


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
    """There must be something to fill in, or to go on from."""
    if config.run_mode == "predict" and not config.predict_data:
        example = _EXAMPLES[config.model.arch.type]
        yield Problem(
            "predict_data", f'run_mode predict needs a text; add --predict_data "{example}"'
        )


def one_process_fills_blanks(config: RunConfig) -> Iterator[Problem]:
    """Encoders answer as a whole model; a checkpoint of any layout loads into one."""
    encoder = not isinstance(config.model.settings, GPT2ModelConfig)
    if config.run_mode == "predict" and encoder and config.processes > 1:
        yield Problem(
            "use_parallel",
            f"run_mode predict of an encoder runs in one process, and the layout needs "
            f"{config.processes}; add --use_parallel False",
        )


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
