"""Keys that were set and that nothing reads, because another key decides otherwise."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mindmlm.build_data.masking import segmenter, strategies
from mindmlm.build_data.rows import packs_documents, predicts_next, spaces_divide_words
from mindmlm.config.checks.electra import detects_replaced
from mindmlm.config.checks.pairs import has_pairs
from mindmlm.config.checks.qa import answers_questions
from mindmlm.config.describe import keys
from mindmlm.config.problems import Problem
from mindmlm.config.schema import RunConfig
from mindmlm.data.sources.locations import is_address

_LOADER, _MASKING = "train_dataset.data_loader", "train_dataset.masking"

_TEXT_KEYS = (
    "cleaning",
    "join_lines_up_to",
    "min_line_characters",
    "max_line_characters",
    "on_error",
)


@dataclass(frozen=True)
class _Rule:
    """Keys (whole sections by their names) that count only where ``counts`` says so."""

    paths: tuple[str, ...]
    counts: Callable[[RunConfig], bool]
    reason: str


def _reads_text_files(config: RunConfig) -> bool:
    return config.train_dataset.data_loader.type == "TextDataLoader"


def _reads_a_table(config: RunConfig) -> bool:
    return config.train_dataset.data_loader.type == "SqlDataLoader"


def _reads_text(config: RunConfig) -> bool:
    return _reads_text_files(config) or _reads_a_table(config)


def _may_read(*formats: str) -> Callable[[RunConfig], bool]:
    def check(config: RunConfig) -> bool:
        given = config.train_dataset.data_loader.file_format
        return given == "auto" or given in formats

    return check


def _has_an_address(config: RunConfig) -> bool:
    places = (config.train_dataset, config.eval_dataset)
    return any(is_address(section.data_loader.dataset_dir) for section in places)


_RULES = (
    _Rule(
        (
            _MASKING,
            "train_dataset.max_predictions_per_seq",
            "train_dataset.bucket_lengths",
            "processor.user_dict",
            "processor.hmm",
            "processor.reference_file",
            "processor.tokenizer.do_lower_case",
        ),
        lambda config: not predicts_next(config),
        "GPT-2 reads the text as it is and predicts every token, so nothing is masked",
    ),
    _Rule(
        (
            _MASKING,
            "train_dataset.max_predictions_per_seq",
            "train_dataset.bucket_lengths",
            "train_dataset.sample_mode",
            "train_dataset.attend_across_documents",
            "processor.user_dict",
            "processor.hmm",
            "processor.reference_file",
        ),
        lambda config: not answers_questions(config),
        "a row is a question and a part of its text, and nothing is masked",
    ),
    _Rule(
        ("processor.segmenter",),
        lambda config: not spaces_divide_words(config) or config.processor.segmenter == "none",
        "RobertaTokenizer's words begin with a space",
    ),
    _Rule(
        (
            "processor.user_dict",
            "processor.hmm",
            "processor.reference_file",
            "processor.tokenizer.do_lower_case",
        ),
        lambda config: not spaces_divide_words(config),
        "RobertaTokenizer reads the text as it is, and its words begin with a space",
    ),
    _Rule(
        ("train_dataset.max_question_length", "train_dataset.doc_stride", "metric"),
        answers_questions,
        "only question answering (model.arch.type BertForQuestionAnswering) reads it",
    ),
    _Rule(
        ("train_dataset.short_seq_prob",),
        lambda config: has_pairs(config) and _reads_text(config),
        "only sentence_pairs that are made of text have short rows",
    ),
    _Rule(
        ("electra",),
        detects_replaced,
        "only replaced-token detection (model.arch.type ElectraForPreTraining) reads it",
    ),
    _Rule(
        ("processor.user_dict", "processor.hmm"),
        lambda config: not _reads_text(config) or config.processor.segmenter in ("jieba", "rjieba"),
        "only the segmenters jieba and rjieba read it",
    ),
    _Rule(
        ("processor.user_dict", "processor.hmm"),
        lambda config: not _reads_text(config) or segmenter(config) != "none",
        "the strategy needs no words, so the text is not segmented",
    ),
    _Rule(
        ("processor.reference_file",),
        lambda config: config.processor.segmenter == "reference_file",
        "only segmenter reference_file reads it",
    ),
    _Rule(
        (f"{_MASKING}.mixture",),
        lambda config: config.train_dataset.masking.strategy == "mixture",
        "only strategy mixture has weights",
    ),
    _Rule(
        (f"{_MASKING}.similar_words",),
        lambda config: "macbert" in strategies(config),
        "only strategy macbert (or a mixture with it) replaces words by similar ones",
    ),
    _Rule(
        (f"{_MASKING}.term_weight",),
        lambda config: bool(config.train_dataset.masking.term_file),
        "without a term_file there are no terms",
    ),
    _Rule(
        (f"{_MASKING}.masked_lm_prob_steps",),
        lambda config: config.train_dataset.masking.masked_lm_prob_end is not None,
        "without masked_lm_prob_end the rate stays as it is",
    ),
    _Rule(
        ("train_dataset.attend_across_documents",),
        packs_documents,
        "only sample_mode packed and full_sentences put several documents into a row",
    ),
    _Rule(
        (f"{_LOADER}.csv_delimiter",),
        lambda config: _reads_text_files(config) and _may_read("csv")(config),
        "only csv files have delimiters",
    ),
    _Rule(
        (f"{_LOADER}.text_field",),
        lambda config: (
            not _reads_text_files(config) or _may_read("jsonl", "csv", "parquet")(config)
        ),
        "txt files have no fields",
    ),
    _Rule(
        (f"{_LOADER}.endpoint_url",),
        _has_an_address,
        "only addresses such as s3:// have an endpoint",
    ),
    _Rule(
        (f"{_LOADER}.credentials_file",),
        lambda config: _has_an_address(config) or _reads_a_table(config),
        "only object stores, HDFS and databases ask for keys",
    ),
    _Rule(
        tuple(
            f"{_LOADER}.{name}" for name in ("key_column", "parameters", "slicing", "batch_rows")
        ),
        _reads_a_table,
        "only type SqlDataLoader reads a table",
    ),
    _Rule(
        tuple(f"{_LOADER}.{name}" for name in _TEXT_KEYS),
        _reads_text,
        "records hold tokens already, and files of questions have a form of their own",
    ),
    _Rule(
        tuple(f"{_LOADER}.{name}" for name in ("file_format", "max_line_bytes")),
        _reads_text_files,
        "only type TextDataLoader reads text files",
    ),
)


def keys_without_effect(config: RunConfig) -> Iterator[Problem]:
    """Yield the keys that differ from their default and that nothing reads, and why.

    Such a combination is no error in a run (a file is often varied by one key on the command
    line), so it is explained; `tools/build_dataset.py`, where every flag was typed, refuses it.
    """
    values = _values(config)
    seen: set[str] = set()
    for rule in _RULES:
        if rule.counts(config):
            continue
        for path, key in keys().items():
            named = any(path == name or path.startswith(name + ".") for name in rule.paths)
            if named and path not in seen and values[path] != key.default:
                seen.add(path)
                yield Problem(path, f"has no effect: {rule.reason}; remove it")


def _values(config: RunConfig) -> dict[str, object]:
    found: dict[str, object] = {}

    def walk(value: object, path: str) -> None:
        if isinstance(value, dict) and path not in keys():
            for name, item in value.items():
                walk(item, f"{path}.{name}" if path else name)
        else:
            found[path] = value

    walk(config.model_dump(by_alias=True), "")
    return found
