"""Keys of data sets, tokenizer and measures."""

from mindmlm.config.from_mindformers.changes import Conversion

_COLUMNS = "the columns of records are known by their names"
_PIPELINE = "a setting of MindSpore's data pipeline, which is not used"
_LOADERS = ("MindDataset", "TFRecordDataset", "SQuADDataLoader")
_DATA = "train_dataset"
DEAD = {
    "input_columns": _COLUMNS,
    "output_columns": _COLUMNS,
    "column_order": _COLUMNS,
    "python_multiprocessing": _PIPELINE,
    "numa_enable": _PIPELINE,
    "drop_remainder": "an order without end: the last rows of an epoch share a batch with the next",
    "repeat": "runner_config.epochs repeats the data",
    "batch_size": "r0.3 overwrote it with runner_config.batch_size",
    "do_eval": "set callbacks.EvalMonitor.eval_steps",
    "auto_tune": _PIPELINE,
    "filepath_prefix": _PIPELINE,
    "autotune_per_step": _PIPELINE,
    "profile": _PIPELINE,
}
_LOADER_DEAD = {
    "shard_equal_rows": "ranks always get equally many rows",
    "stage": "the files' names begin with train or dev",
    "column_names": _COLUMNS,
    "columns_list": _COLUMNS,
    "num_parallel_workers": "train_dataset.num_parallel_workers",
    "num_shards": "each rank takes its rows by itself",
    "shard_id": "each rank takes its rows by itself",
}
_SPECIAL = {
    "unk_token": ("[UNK]", "<|endoftext|>"),
    "sep_token": ("[SEP]",),
    "pad_token": ("[PAD]", "<|endoftext|>"),
    "cls_token": ("[CLS]",),
    "mask_token": ("[MASK]",),
    "bos_token": ("<|endoftext|>",),
    "eos_token": ("<|endoftext|>",),
}


def data_rules(old: Conversion) -> None:
    """Data sets, tokenizer, metric.

    Raises:
        ConfigError: a loader or tokenizer that is not there.
    """
    for section in ("train_dataset", "eval_dataset"):
        copy, why = f"{section}_task.dataset_config", f"r0.3 took {section} itself"
        old.drop_copy(copy, section, why)
        old.drop(copy, f"{why}, so that this value had no effect")
        old.drop(f"{section}_task", "trainer.type says what is learned")
        for name, why in DEAD.items():
            old.drop(f"{section}.{name}", why)
        for name, why in _LOADER_DEAD.items():
            old.drop(f"{section}.data_loader.{name}", why)
    _loaders(old)
    _question_rows(old)
    for section in (f"{_DATA}.tokenizer", "eval_dataset.tokenizer", "processor.tokenizer"):
        _tokenizer(old, section)
    old.drop("processor", "return_tensors, type and lengths: texts become rows of the data set")
    _metric(old)


def _loaders(old: Conversion) -> None:
    kind = f"{_DATA}.data_loader.type"
    if old.value(kind, _LOADERS[0]) not in _LOADERS:
        raise old.refuse(kind, f"{old.value(kind)} is not there; known are {', '.join(_LOADERS)}")
    old.keep(kind)
    for name in ("shuffle", "num_samples"):
        old.keep(f"{_DATA}.data_loader.{name}")
    for name in ("num_parallel_workers", "prefetch_size", "seed"):
        old.keep(f"{_DATA}.{name}")
    old.drop("eval_dataset.data_loader.type", "evaluation is read as the training data are")
    old.drop("eval_dataset.data_loader.shuffle", "evaluation takes every row once")
    old.keep("eval_dataset.data_loader.num_samples")
    for name in ("num_parallel_workers", "prefetch_size", "seed"):
        old.drop(f"eval_dataset.{name}", "evaluation has no threads and no random order")
    for section in (_DATA, "eval_dataset"):
        _named_files(old, f"{section}.data_loader")


def _named_files(old: Conversion, loader: str) -> None:
    files, folder = f"{loader}.dataset_files", f"{loader}.dataset_dir"
    names = old.value(files)
    if isinstance(names, list) and len(names) > 1:
        raise old.refuse(
            files,
            "several files: put them into a folder, or write a pattern (data/*.mindrecord) as "
            "dataset_dir",
        )
    if names:
        old.drop(folder, "dataset_files names the file")
        old.keep(files, folder, read=lambda value: value if isinstance(value, str) else value[0])
    old.drop(files, "no file is named")
    old.keep(folder)


def _question_rows(old: Conversion) -> None:
    for section in (_DATA, f"{_DATA}.data_loader", f"{_DATA}_task.dataset_config"):
        old.keep(f"{section}.doc_stride", f"{_DATA}.doc_stride")
        for name in ("max_question_len", "max_question_length"):
            old.keep(f"{section}.{name}", f"{_DATA}.max_question_length")
        for name in ("max_seq_len", "max_seq_length"):
            old.drop(f"{section}.{name}", "model_config.seq_length is the length of a row")
    for name in ("doc_stride", "max_question_len", "max_seq_len"):
        old.drop(f"eval_dataset.data_loader.{name}", "evaluation has the rows of training")
        old.drop(f"eval_dataset.{name}", "evaluation has the rows of training")


def _tokenizer(old: Conversion, section: str) -> None:
    ours = "processor.tokenizer"
    for name in ("type", "vocab_file", "merges_file", "do_lower_case"):
        path, target = f"{section}.{name}", f"{ours}.{name}"
        if target in old.values:
            old.drop(path, f"{target} says it")
        old.keep(path, target)
    for name, usual in _SPECIAL.items():
        path = f"{section}.{name}"
        if old.has(path) and old.value(path) not in usual:
            raise old.refuse(
                path,
                f"{old.value(path)!r} is none of {', '.join(usual)}, the names that the "
                "vocabularies of BERT and GPT-2 have",
            )
        old.drop(path, "the usual name of a special token")
    old.drop(f"{section}.do_basic_tokenize", "always: words first, then pieces")
    old.drop(f"{section}.tokenize_chinese_chars", "every ideograph is a token, as in BERT")
    if section != ours:
        old.drop(section, "one tokenizer for all: processor.tokenizer")
    kind = (
        "GPT2Tokenizer" if old.values["model.arch.type"] == "GPT2LMHeadModel" else "BertTokenizer"
    )
    if section == ours:
        old.add(f"{ours}.type", kind, "goes with the model")


def _metric(old: Conversion) -> None:
    kind = old.value("metric.type")
    if kind == "SQuADMetric":
        old.drop("metric.type", "metric.version squad: exact match and F1 of SQuAD 1.1")
        old.add("metric.version", "squad", "stands for metric.type SQuADMetric")
    old.drop("metric.type", "loss and perplexity are always measured")
    old.keep("metric.n_best_size")
    old.keep("metric.max_answer_len", "metric.max_answer_length")
    old.keep("metric.max_answer_length")
    old.drop("metric.dataset_dir", "the answers come with the evaluation data")
    old.drop("metric.do_lower_case", "processor.tokenizer.do_lower_case")
