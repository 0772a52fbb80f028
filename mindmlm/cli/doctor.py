"""``python -m mindmlm doctor``: what is wrong with text files, before hours are spent on them."""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from mindmlm.build_data.tool_flags import in_flags
from mindmlm.config.schema.processor import TokenizerConfig
from mindmlm.data.doctor.examine import Diagnosis, DoctorSettings, examine
from mindmlm.data.sources.files import READERS
from mindmlm.data.sources.locations import Location
from mindmlm.data.sources.object_store import Access
from mindmlm.data.sources.options import ReadOptions
from mindmlm.data.sources.splits import resolve_evaluation, resolve_split
from mindmlm.data.sources.stored_file import StoredFile
from mindmlm.errors import ConfigError, DataError
from mindmlm.tokenizers.files import BERT, ROBERTA, MaskingTokenizer, load_tokenizer

HELP = "look for what is wrong with text files"
DESCRIPTION = """\
Look for what is wrong with text files: encoding errors, duplicate lines, [UNK] under a vocabulary,
lines of the evaluation text that stand in the training text as well; and show which languages
and lengths there are. It reads what training reads: txt, jsonl, csv, parquet, plain or compressed;
files, folders, patterns, addresses. Every finding comes with file and line or row. Memory does not
grow with the text.

examples:
  python -m mindmlm doctor news.txt
  python -m mindmlm doctor train.txt --eval valid.txt --vocab_file vocab.txt
  python -m mindmlm doctor 'news/*.jsonl.gz' --text_field title,body
  python -m mindmlm doctor train.txt --max_duplicate_share 0.05 --json      for programs

The exit code is 0 when the text is good, 1 when there is a problem, 2 when a file cannot be read.
"""
_BAR = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="a file, folder, pattern, address (s3://...) or - (standard input)",
    )
    parser.add_argument(
        "--eval",
        metavar="FILE",
        nargs="+",
        default=[],
        help="evaluation text; its lines must not stand in the FILEs",
    )
    _add_reading(parser)
    parser.add_argument("--vocab_file", metavar="FILE", type=Path, help="vocabulary to judge")
    parser.add_argument(
        "--tokenizer",
        choices=[BERT, ROBERTA],
        default=BERT,
        help="kind of the vocabulary (default BertTokenizer; a RobertaTokenizer's vocab.json or "
        "tokenizer.json spells every text)",
    )
    parser.add_argument(
        "--merges_file",
        metavar="FILE",
        default="",
        help="RobertaTokenizer: default the merges.txt beside vocab.json",
    )
    parser.add_argument(
        "--cased", action="store_true", help="the vocabulary is cased (do_lower_case: False)"
    )
    parser.add_argument(
        "--max_duplicate_share",
        metavar="X",
        type=_share,
        default=0.0,
        help="more duplicate lines than this part of all are a problem (default 0)",
    )
    parser.add_argument(
        "--max_unk_share",
        metavar="X",
        type=_share,
        default=0.01,
        help="more [UNK] than this part of the tokens is a problem (default 0.01)",
    )
    parser.add_argument(
        "--examples", metavar="N", type=_positive, default=10, help="places shown (default 10)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say how files are read, as for `tools/build_dataset.py`."""
    parser.add_argument(
        "--input_format", choices=["auto", *READERS], default="auto", help="default auto: by name"
    )
    parser.add_argument(
        "--text_field",
        metavar="NAME",
        nargs="+",
        default=["text"],
        help="field of a record (jsonl, csv, parquet) with the text, or several; default text",
    )
    parser.add_argument("--csv_delimiter", metavar="C", help="default: tab for .tsv, else comma")
    parser.add_argument("--endpoint_url", metavar="URL", default="", help="of an object store")
    parser.add_argument(
        "--credentials_file", metavar="FILE", default="", help="keys of a store, mode 0600"
    )
    parser.add_argument(
        "--max_line_bytes", metavar="N", type=_positive, default=1 << 20, help="default 1048576"
    )


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("must lie between 0 and 1")
    return value


def run(options: argparse.Namespace) -> int:
    """Print the diagnosis; 0, or 1 when there is a problem.

    Raises:
        ConfigError: flags contradict each other.
        DataError: a file or the vocabulary cannot be read.
    """
    try:
        diagnosis = _diagnose(options)
    except DataError as error:
        raise DataError(in_flags(str(error)).replace("--input_file", "FILE")) from None
    code = 1 if diagnosis.problems() else 0
    if options.json:
        found = diagnosis.to_dict() | {"exit_code": code}
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print(as_text(diagnosis))
    return code


def _diagnose(options: argparse.Namespace) -> Diagnosis:
    reading = ReadOptions(
        file_format=options.input_format,
        max_line_bytes=options.max_line_bytes,
        text_field=tuple(name for name in ",".join(options.text_field).split(",") if name),
        csv_delimiter=options.csv_delimiter,
    )
    settings = DoctorSettings(
        tokenizer=_tokenizer(options),
        reading=reading,
        max_duplicate_share=options.max_duplicate_share,
        max_unknown_share=options.max_unk_share,
        examples=options.examples,
        progress=not options.json,
    )
    return examine(
        _files(options, options.files, "train"), _files(options, options.eval, "eval"), settings
    )


def _tokenizer(options: argparse.Namespace) -> MaskingTokenizer | None:
    """Return the vocabulary that is judged, if one is named.

    Raises:
        ConfigError: a flag of the other kind of tokenizer is given.
    """
    is_bert = options.tokenizer == BERT
    if not is_bert and options.cased:
        raise ConfigError(f"--cased: {options.tokenizer} leaves text as it is; remove it")
    if is_bert and options.merges_file:
        raise ConfigError("--merges_file: BertTokenizer has no merges; remove it")
    if options.vocab_file is None:
        return None
    section = TokenizerConfig(
        type=options.tokenizer,
        vocab_file=str(options.vocab_file),
        merges_file=options.merges_file,
        do_lower_case=not options.cased,
    )
    tokenizer = load_tokenizer(section)
    assert isinstance(tokenizer, MaskingTokenizer)
    return tokenizer


def _files(options: argparse.Namespace, places: list[str], side: str) -> list[StoredFile]:
    """Return the files of places; of a folder those that a run would take for this side."""
    access = Access(options.endpoint_url, options.credentials_file)
    files: list[StoredFile] = []
    for place in places:
        listing = Location(place, access, Path(tempfile.gettempdir())).listing()
        chosen = resolve_split(listing, side) if side == "train" else resolve_evaluation(listing)
        files += chosen
    return files


def as_text(diagnosis: Diagnosis) -> str:
    """Return the diagnosis for people; the verdict is the last thing."""
    found = diagnosis.to_dict()
    lines = ["files"]
    for file in found["files"]:
        lines.append(
            f"  {file['path']} ({file['side']}): {file['lines']:,} lines, {file['blank_lines']:,} "
            f"blank, {file['characters']:,} characters, {file['bytes']:,} bytes"
        )
    languages = [(name, count) for name, count in found["languages"].items()]
    lines += ["", "languages (lines)", *_bars(languages)]
    lines += ["", *_histogram("characters of a line", found["characters"])]
    if found["unknown"]:
        lines += ["", *_histogram("tokens of a line", found["tokens"])]
        lines += ["", *_unknown(found["unknown"])]
    for kind, entry in found["encoding"].items():
        lines += ["", f"{kind}: {entry['count']:,}", *(f"  {place}" for place in entry["places"])]
    lines += _repeats(found)
    problems = found["problems"]
    verdict = ["problems"] if problems else ["no problem found"]
    return "\n".join([*lines, "", *verdict, *(f"  {problem}" for problem in problems)])


def _unknown(unknown: dict[str, Any]) -> list[str]:
    head = f"[UNK]: {unknown['unknown']:,} of {unknown['tokens']:,} tokens ({unknown['share']:.3%})"
    return [head] + [
        f"  {entry['text']!r} {entry['times']:,} times, first in {entry['first']}"
        for entry in unknown["examples"]
    ]


def _repeats(found: dict[str, Any]) -> list[str]:
    lines = []
    duplicates, leakage = found["duplicates"], found["leakage"]
    if duplicates["lines"]:
        lines += ["", f"duplicate lines: {duplicates['lines']:,} ({duplicates['share']:.2%})"]
        for entry in duplicates["examples"]:
            more = " ..." if entry["times"] > len(entry["places"]) else ""
            lines.append(f"  {entry['times']:,} times: {', '.join(entry['places'])}{more}")
    if leakage["lines"]:
        lines += ["", f"evaluation lines in the training text: {leakage['lines']:,}"]
        lines += [f"  {entry['evaluation']} is {entry['train']}" for entry in leakage["examples"]]
    return lines


def _histogram(title: str, histogram: dict[str, Any]) -> list[str]:
    if not histogram["largest"]:
        return [f"{title}: no line"]
    largest = histogram["largest"]
    head = (
        f"{title}: {histogram['mean']:.1f} on average, at most {largest['size']:,} "
        f"({largest['place']})"
    )
    rows = [(f"{row['from']:,} to {row['to']:,}", row["lines"]) for row in histogram["histogram"]]
    return [head, *_bars(rows)]


def _bars(rows: list[tuple[str, int]]) -> list[str]:
    if not rows:
        return ["  none"]
    width = max(len(name) for name, _ in rows)
    most = max(count for _, count in rows)
    return [
        f"  {name:<{width}} {count:>12,} {'#' * -(-count * _BAR // most)}" for name, count in rows
    ]
