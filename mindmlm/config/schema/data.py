"""Sections `train_dataset` and `eval_dataset`: which text, cut how, masked how."""

from typing import Annotated, Literal

from annotated_types import Ge, MaxLen, MinLen
from pydantic import Field

from mindmlm.config.schema.base import Section
from mindmlm.config.schema.masking import MaskingConfig
from mindmlm.config.schema.types import (
    Boolean,
    Count,
    Integer,
    OpenFraction,
    PositiveInteger,
    Probability,
    Seed,
    TextList,
)

FileFormat = Literal["auto", "txt", "jsonl", "csv", "parquet"]
CleaningStep = Literal["nfc", "nfkc", "full_width", "control", "html", "whitespace", "sentences"]


class TrainDataLoaderConfig(Section):
    """Where the training text lies and how it is read."""

    type: Literal[
        "TextDataLoader", "SqlDataLoader", "MindDataset", "TFRecordDataset", "SQuADDataLoader"
    ] = Field(
        default="TextDataLoader",
        description="Kind of source. TextDataLoader reads files: txt, jsonl, csv, parquet; "
        "SqlDataLoader the rows of a database query; MindDataset and TFRecordDataset the records "
        "of tools/build_dataset.py or Google's script; SQuADDataLoader questions in the layouts of "
        "SQuAD and CMRC 2018: `train-v1.1.json` and `dev-v1.1.json` of a folder, or named files.",
    )
    dataset_dir: str = Field(
        default="",
        description="A file; a folder whose file names begin with train, with valid, dev or eval, "
        "or with test; a pattern (`data/*.jsonl.gz`); `-`, standard input; or an address: "
        "`s3://`, `oss://`, `obs://` (a file, prefix or pattern), `hdfs://`.",
    )
    shuffle: Boolean = Field(
        default=True,
        description="A new order in every epoch, a function of the seed and the epoch.",
    )
    num_samples: PositiveInteger | None = Field(
        default=None, description="Read only this many lines or documents. null = all."
    )
    text_format: Literal["line", "document"] = Field(
        default="line",
        description="`line`: every line is a document; `document`: blank lines lie between them.",
    )
    on_error: Literal["raise", "skip"] = Field(
        default="raise",
        description="Malformed UTF-8 or an over-long line: stop with file and line, or skip it "
        "and count it in the report.",
    )
    max_line_bytes: PositiveInteger = Field(
        default=1048576,
        description="A line, or the text of a record, of more bytes than this is over-long.",
    )
    file_format: FileFormat = Field(
        default="auto",
        description="`auto` = by the name (.jsonl, .ndjson, .json, .csv, .tsv, .parquet, .pq), "
        "else txt. gzip and zstd are seen from the contents.",
    )
    text_field: TextList = Field(
        default=["text"],
        description="Field of a record (jsonl, csv, parquet) with the text, or several whose lines "
        "form one document. `meta.title` reaches into nested records.",
    )
    csv_delimiter: Annotated[str, MinLen(1), MaxLen(1)] | None = Field(
        default=None, description="Between the fields of a csv file. null = tab for .tsv, else `,`."
    )
    cleaning: list[CleaningStep] = Field(
        default_factory=list,
        description="Steps done to every document, in this order: `nfc`, `nfkc`, `full_width`, "
        "`control`, `html`, `whitespace`, `sentences` (a line for each).",
    )
    join_lines_up_to: PositiveInteger | None = Field(
        default=None,
        description="Join neighbouring lines of a document (the ones `sentences` makes) up to this "
        "many characters. null = leave them.",
    )
    min_line_characters: Count = Field(
        default=0, description="Leave out shorter lines, after cleaning, and count them."
    )
    max_line_characters: PositiveInteger | None = Field(
        default=None, description="Leave out longer lines, after cleaning. null = none."
    )
    endpoint_url: str = Field(
        default="",
        description="Address of the object store, needed for `oss://`, `obs://` and stores of your "
        "own; for `hdfs://` that of WebHDFS.",
    )
    credentials_file: str = Field(
        default="",
        description="A YAML file with the keys, mode 0600. Empty = environment variables: "
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY; OSS_...; OBS_...; HADOOP_USER_NAME; of "
        "databases MINDMLM_SQL_USER, MINDMLM_SQL_PASSWORD.",
    )
    url: str = Field(
        default="",
        description="SqlDataLoader: the database, without a password: `postgresql://host/name`, "
        "`mysql://`, `sqlite:///file`, `hive://`, `odps://project/?endpoint=...`.",
    )
    query: str = Field(
        default="",
        description="SqlDataLoader: a SELECT that gives `key_column` and `text_field`; `:name` "
        "stands for a parameter.",
    )
    key_column: str = Field(
        default="id",
        description="SqlDataLoader: unique integers or texts; rows are read in their order, and "
        "reading goes on behind one when a connection is lost.",
    )
    parameters: list[str] = Field(
        default_factory=list,
        description="SqlDataLoader: `name=value` for each `:name` of the query, bound by the "
        "driver. 5 is a number, '5' in quotes a text.",
    )
    slicing: Literal["range", "modulo"] = Field(
        default="range",
        description="SqlDataLoader: how rows are divided between processes: `range` by intervals "
        "of the key, `modulo` by its remainder.",
    )
    batch_rows: PositiveInteger = Field(
        default=1000, description="SqlDataLoader: rows fetched from the server at once."
    )


class EvalDataLoaderConfig(Section):
    """Where the evaluation text lies; it is read with the settings of the training text."""

    dataset_dir: str = Field(
        default="",
        description="As for training. Empty = the training folder's own valid, dev or eval files, "
        "else documents held out from the training text.",
    )
    num_samples: PositiveInteger | None = Field(
        default=None, description="Read only this many lines or documents. null = all."
    )
    query: str = Field(
        default="",
        description="SqlDataLoader: the query for evaluation, on the database of the training "
        "text and with its parameters.",
    )
    file_format: FileFormat | None = Field(default=None, description="null = as for training.")
    text_field: TextList | None = Field(default=None, description="null = as for training.")


class TrainDatasetConfig(Section):
    """From text to batches."""

    data_loader: TrainDataLoaderConfig = Field(
        default_factory=TrainDataLoaderConfig, description="The training text."
    )
    max_seq_length: Annotated[Integer, Ge(3)] = Field(
        default=128,
        description="Tokens of one row, [CLS] and [SEP] included. GPT-2: tokens that the model "
        "reads; a sample holds one more.",
    )
    sample_mode: Literal["line", "packed", "full_sentences"] = Field(
        default="line",
        description="`line`: one document a row, a longer one is split; `packed`: documents are "
        "joined with [SEP] (GPT-2: <|endoftext|>) and cut into full rows; `full_sentences`: the "
        "same, of whole lines (RoBERTa).",
    )
    sentence_pairs: Literal["none", "nsp", "sop"] = Field(
        default="none",
        description="BertForPreTraining: rows of two segments (lines of a document), told apart. "
        "`nsp`: the second follows the first, or is from another document (BERT); `sop`: or both "
        "are swapped (ALBERT, MacBERT). Of records: that their labels are trained on.",
    )
    short_seq_prob: Probability = Field(
        default=0.1,
        description="sentence_pairs from text: part of the documents whose rows aim at a random "
        "shorter length, so that the model sees such rows too.",
    )
    attend_across_documents: Boolean = Field(
        default=True,
        description="sample_mode packed: a row's documents see each other. False: each has "
        "positions from 0 and attention to itself only (BERT: whole documents, each with [CLS]).",
    )
    bucket_lengths: list[Annotated[Integer, Ge(8)]] = Field(
        default_factory=list,
        description="Shorter row lengths, ascending: a batch holds samples of similar length, "
        "padded to the next of these or to `max_seq_length`. Empty = all rows equally long.",
    )
    max_predictions_per_seq: PositiveInteger | None = Field(
        default=None,
        description="Predicted positions of a row (the shape of the head's input). "
        "null = the largest `masked_lm_prob` times `max_seq_length`, rounded up.",
    )
    max_question_length: PositiveInteger = Field(
        default=64, description="Question answering: tokens of a question; the rest is cut off."
    )
    doc_stride: Count = Field(
        default=128,
        description="Question answering: tokens that two neighbouring windows over a long context "
        "share.",
    )
    masking: MaskingConfig = Field(
        default_factory=MaskingConfig, description="Which tokens are hidden."
    )
    num_parallel_workers: PositiveInteger = Field(
        default=2, description="Threads that make batches. Any number gives the same batches."
    )
    prefetch_size: PositiveInteger = Field(default=4, description="Batches made ahead of time.")
    seed: Seed | None = Field(
        default=None, description="Seed of order and masks. null = the top-level `seed`."
    )


class EvalDatasetConfig(Section):
    """The text on which the model is judged."""

    data_loader: EvalDataLoaderConfig = Field(
        default_factory=EvalDataLoaderConfig, description="The evaluation text."
    )
    holdout_fraction: OpenFraction = Field(
        default=0.05,
        description="Part of the documents held out, chosen by a hash of their text, when there "
        "is no evaluation text.",
    )
    batch_size: PositiveInteger | None = Field(
        default=None, description="Rows of an evaluation batch. null = `runner_config.batch_size`."
    )
