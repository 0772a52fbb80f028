"""The command behind `tools/build_dataset.py`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mindmlm.data.building.build import BuildResult, BuildSettings, build_dataset
from mindmlm.data.building.sampling import NSP, SINGLE, SOP
from mindmlm.data.building.shards import MINDRECORD, TFRECORD
from mindmlm.data.masking import MaskingSettings
from mindmlm.data.records.rows import DYNAMIC, STATIC
from mindmlm.data.segmentation import SEGMENTERS, SegmenterOptions
from mindmlm.data.sources.base import Source
from mindmlm.data.sources.files import READERS, FileSource
from mindmlm.data.sources.locations import Location
from mindmlm.data.sources.options import ReadOptions
from mindmlm.data.sources.splits import resolve_split
from mindmlm.errors import ConfigError, DataError, MindmlmError
from mindmlm.tokenizers.bert import BertTokenizer

_DESCRIPTION = """\
Turn text into records for training: once, instead of at the start of every run.

--static stores masked rows with the seven fields of Google's create_pretraining_data.py;
--dynamic stores tokens and word boundaries, so that training makes new masks in every epoch.
"""
_EXAMPLES = """\
examples:
  masked rows in one file, as the scripts around google-research/bert made them
    python tools/build_dataset.py --input_file=raw.txt --output_file=pre_data.tfrecord \\
        --vocab_file=vocab.txt --do_whole_word_mask=True --dupe_factor=5 --random_seed=123456
  MindRecord shards to be masked during training, a pool of 8 processes; again after a crash
    python tools/build_dataset.py --input_file='news/*.txt' --output_file=records/ \\
        --vocab_file=vocab.txt --format mindrecord --dynamic --num_workers 8 --resume

docs/prepared-data.md explains the files and how to train on them.
"""
_SEGMENTERS = [name for name in SEGMENTERS if name != "reference_file"]
_STRATEGIES = ["token", "whole_word", "span", "token_span", "ngram"]
_STATIC_COPIES = 10


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="build_dataset.py",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_input(parser)
    _add_output(parser)
    _add_rows(parser)
    return parser


def _add_input(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("input")
    group.add_argument(
        "--input_file",
        required=True,
        help="files, folders, patterns or addresses (s3://...), commas between them",
    )
    group.add_argument(
        "--input_format", choices=["auto", *READERS], default="auto", help="default auto: by name"
    )
    group.add_argument(
        "--text_format",
        choices=["line", "document"],
        default="document",
        help="of text files: document = blank lines between documents, their lines are the "
        "segments (default); line = every line is a document",
    )
    group.add_argument("--text_field", default="text", help="field of a record; default text")
    group.add_argument(
        "--on_error", choices=["raise", "skip"], default="raise", help="what faulty text does"
    )
    group.add_argument("--vocab_file", required=True, type=Path, help="vocab.txt of the model")
    _add_switch(group, "do_lower_case", True, "lower the text and strip accents")


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "--output_file",
        required=True,
        type=Path,
        help="a name that ends in .tfrecord or .mindrecord: one file; any other: a folder of "
        "shards",
    )
    group.add_argument(
        "--format",
        choices=[MINDRECORD, TFRECORD],
        help="default: by the ending of --output_file, else tfrecord",
    )
    kind = group.add_mutually_exclusive_group()
    kind.add_argument(
        "--static", dest="form", action="store_const", const=STATIC, help="mask now (default)"
    )
    kind.add_argument(
        "--dynamic", dest="form", action="store_const", const=DYNAMIC, help="mask during training"
    )
    group.add_argument(
        "--shard_mb", type=_positive, default=32, help="text of a shard in MB; default 32"
    )
    group.add_argument(
        "--num_workers", type=_positive, default=os.cpu_count() or 1, help="default: all cores"
    )
    _add_switch(group, "resume", False, "go on with a build that ended early")


def _add_rows(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("rows")
    _add_switch(group, "do_whole_word_mask", False, "short for --strategy whole_word")
    group.add_argument("--strategy", choices=_STRATEGIES, help="default token")
    group.add_argument(
        "--segmenter", choices=_SEGMENTERS, help="finds Chinese words; default jieba if needed"
    )
    group.add_argument("--user_dict", default="", help="words for jieba and rjieba, one a line")
    group.add_argument("--max_seq_length", type=_positive, default=128, help="default 128")
    group.add_argument("--max_predictions_per_seq", type=_positive, default=20, help="default 20")
    group.add_argument("--masked_lm_prob", type=_probability, default=0.15, help="default 0.15")
    group.add_argument("--short_seq_prob", type=_probability, default=0.1, help="default 0.1")
    group.add_argument(
        "--dupe_factor",
        type=_positive,
        help=f"passes over the text, each masked anew; default {_STATIC_COPIES} (--dynamic: 1)",
    )
    group.add_argument("--random_seed", type=int, default=12345, help="default 12345")
    group.add_argument(
        "--sentence_pairs",
        choices=[SINGLE, NSP, SOP],
        default=SINGLE,
        help="nsp: next-sentence pairs (BERT); sop: sentence order (ALBERT); default none",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; a user's error is printed as one message."""
    os.environ.setdefault("GLOG_v", "3")
    try:
        options = build_parser().parse_args(argv)
        result = _build(options)
    except MindmlmError as error:
        print(f"build_dataset: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("build_dataset: stopped; --resume goes on from here", file=sys.stderr)
        return 130
    print(f"{result.report.summary()}\n{result.rows:,} rows in", file=sys.stderr)
    for path in result.files:
        print(path)
    return 0


def _build(options: argparse.Namespace) -> BuildResult:
    tokenizer = BertTokenizer.from_vocab_file(options.vocab_file, options.do_lower_case)
    return build_dataset(
        _source(options),
        tokenizer,
        _settings(options),
        options.output_file,
        resume=options.resume,
        progress=True,
    )


def _source(options: argparse.Namespace) -> Source:
    spool = options.output_file.parent
    files = tuple(
        file
        for text in options.input_file.split(",")
        if text
        for file in resolve_split(Location(text, spool_dir=spool).listing(), "train")
    )
    if not files:
        raise DataError("--input_file names nothing")
    reading = ReadOptions(
        file_format=options.input_format,
        text_format=options.text_format,
        on_error=options.on_error,
        text_field=tuple(options.text_field.split(",")),
    )
    return FileSource(files, reading)


def _settings(options: argparse.Namespace) -> BuildSettings:
    form = options.form or STATIC
    strategy = options.strategy or ("whole_word" if options.do_whole_word_mask else "token")
    needs_words = form == DYNAMIC or strategy != "token"
    _check_lengths(options)
    return BuildSettings(
        record_format=_record_format(options),
        form=form,
        max_seq_length=options.max_seq_length,
        masking=MaskingSettings(
            strategy=strategy,
            masked_lm_prob=options.masked_lm_prob,
            max_predictions_per_seq=options.max_predictions_per_seq,
        ),
        sentence_pairs=options.sentence_pairs,
        short_seq_prob=options.short_seq_prob,
        dupe_factor=options.dupe_factor or (_STATIC_COPIES if form == STATIC else 1),
        random_seed=options.random_seed,
        segmenter=options.segmenter or ("jieba" if needs_words else "none"),
        segmenter_options=SegmenterOptions.from_file(options.user_dict, True),
        shard_bytes=options.shard_mb << 20,
        workers=options.num_workers,
    )


def _record_format(options: argparse.Namespace) -> str:
    by_name = {f".{name}": name for name in (TFRECORD, MINDRECORD)}.get(options.output_file.suffix)
    if options.format and by_name and options.format != by_name:
        raise ConfigError(
            f"--output_file {options.output_file} is a {by_name} file by its name and --format is "
            f"{options.format}; change one of them"
        )
    return options.format or by_name or TFRECORD


def _check_lengths(options: argparse.Namespace) -> None:
    special = 2 if options.sentence_pairs == SINGLE else 3
    if options.max_seq_length < special + 2:
        raise ConfigError(f"--max_seq_length {options.max_seq_length}: at least {special + 2}")
    room = options.max_seq_length - special
    if options.max_predictions_per_seq > room:
        raise ConfigError(
            f"--max_predictions_per_seq {options.max_predictions_per_seq}: at most {room} fit "
            f"--max_seq_length {options.max_seq_length} ({special} tokens are special)"
        )


def _add_switch(group: argparse._ArgumentGroup, name: str, default: bool, text: str) -> None:
    """Add `--NAME`, `--NAME=True` and `--NAME=False`, the forms of TensorFlow's scripts."""
    group.add_argument(
        f"--{name}",
        type=_truth,
        nargs="?",
        const=True,
        default=default,
        metavar="True|False",
        help=f"{text}; default {default}",
    )


def _truth(text: str) -> bool:
    values = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False")
    return values[text.lower()]


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _probability(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")
    return value
