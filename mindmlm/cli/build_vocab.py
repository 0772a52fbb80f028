"""The command behind `tools/build_vocab.py`."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from mindmlm.config.schema.types import FALSE_WORDS, TRUE_WORDS
from mindmlm.data.report import ReadReport
from mindmlm.data.sources.base import Source, read_documents
from mindmlm.data.sources.files import READERS, FileSource
from mindmlm.data.sources.locations import Location
from mindmlm.data.sources.options import ReadOptions
from mindmlm.data.sources.splits import resolve_split
from mindmlm.data.vocabulary import save_tokenizer
from mindmlm.errors import ConfigError, DataError, MindmlmError
from mindmlm.runtime.files import write_text_atomic
from mindmlm.tokenizers.bert import BertTokenizer, vocab_text
from mindmlm.tokenizers.byte_level_bpe import train_byte_level_bpe
from mindmlm.tokenizers.files import BYTE_LEVEL, GPT2
from mindmlm.tokenizers.vocab_extension import extend_vocab, frequent_divided_words
from mindmlm.tokenizers.vocab_training import train_vocab

_DESCRIPTION = """\
Train a vocabulary on text, or add domain words to an existing one.

An extended vocabulary keeps the ids of the old one. Fine-tune a checkpoint with it
(--run_mode finetune --load_checkpoint ... --vocab_file NEW): the rows of new tokens start as
the mean of the pieces they were divided into before.
"""
_EXAMPLES = """\
examples:
  a WordPiece vocabulary, vocab.txt
    python tools/build_vocab.py --input_file news.txt --output_file vocab.txt --vocab_size 21128
  GPT-2's byte-level BPE, vocab.json and merges.txt in a folder
    python tools/build_vocab.py --input_file news.txt --output_file bpe --algorithm bpe
  the same with RoBERTa's special tokens
    python tools/build_vocab.py --input_file news.txt --output_file bpe --algorithm bpe \\
        --tokenizer RobertaTokenizer
  add the words of a list
    python tools/build_vocab.py --extend vocab.txt --words terms.txt --output_file new.txt
  add the 500 words that are divided most often in a text
    python tools/build_vocab.py --extend vocab.txt --input_file papers.txt --add 500 \\
        --output_file new.txt
"""
_SHOWN = 5


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="build_vocab.py",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--input_file", default="", help="files, folders, patterns or addresses, commas between")
    add("--input_format", choices=["auto", *READERS], default="auto", help="default auto: by name")
    add("--text_field", default="text", help="field of a record; default text")
    add("--on_error", choices=["raise", "skip"], default="raise", help="what faulty text does")
    add("--output_file", type=Path, required=True, help="the vocab.txt; with bpe a folder")
    add("--algorithm", choices=["wordpiece", "bpe"], default="wordpiece", help="default wordpiece")
    add("--tokenizer", choices=[*BYTE_LEVEL], help="bpe: special tokens; default GPT2Tokenizer")
    add("--vocab_size", type=int, default=8000, help="most tokens of a trained one; default 8000")
    add("--do_lower_case", type=_boolean, default=True, help="default True")
    add("--extend", type=Path, metavar="VOCAB", help="add to this vocab.txt instead of training")
    add("--words", type=Path, metavar="FILE", help="words to add, one a line")
    add("--add", type=int, default=0, metavar="N", help="words of the text to add")
    add("--min_frequency", type=int, default=5, help="of words to add from a text; default 5")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; a user's error is printed as one message."""
    try:
        options = build_parser().parse_args(argv)
        _check(options)
        options.output_file.parent.mkdir(parents=True, exist_ok=True)
        if options.extend:
            _extend(options)
        elif options.algorithm == "bpe":
            _train_bpe(options)
        else:
            vocab = train_vocab(_lines(options), options.vocab_size, options.do_lower_case)
            _write(options.output_file, vocab_text(vocab), len(vocab))
    except MindmlmError as error:
        print(f"build_vocab: error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"build_vocab: error: {error.filename}: {error.strerror}", file=sys.stderr)
        return DataError.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _check(options: argparse.Namespace) -> None:
    if options.tokenizer and options.algorithm != "bpe":
        raise ConfigError(f"--tokenizer {options.tokenizer}: add --algorithm bpe")
    if options.extend is None:
        if options.words or options.add:
            raise ConfigError("--words and --add need --extend VOCAB, the vocabulary to add to")
        if not options.input_file:
            raise ConfigError("--input_file: name the text to train the vocabulary on")
    elif options.algorithm == "bpe":
        raise ConfigError("--extend: only WordPiece vocabularies (vocab.txt) can be extended")
    elif not options.words and not options.add:
        raise ConfigError("--extend: say what to add: --words FILE, or --input_file and --add N")
    elif options.add and not options.input_file:
        raise ConfigError("--add: name the text whose words are added with --input_file")


def _extend(options: argparse.Namespace) -> None:
    tokenizer = BertTokenizer.from_vocab_file(options.extend, options.do_lower_case)
    words = _words(options.words) if options.words else []
    if options.add:
        words += frequent_divided_words(
            _lines(options), tokenizer, options.add, options.min_frequency
        )
    extended = extend_vocab(tokenizer.vocab, words, options.do_lower_case)
    if extended.known:
        print(f"{len(extended.known)} words are tokens already", file=sys.stderr)
    if extended.divided:
        shown = ", ".join(extended.divided[:_SHOWN])
        print(
            f"{len(extended.divided)} words are divided whatever the vocabulary holds (at "
            f"ideographs, punctuation, spaces), so their parts were added: {shown}; to mask such "
            "words as a whole use train_dataset.masking.term_file",
            file=sys.stderr,
        )
    print(f"{len(extended.added)} tokens were added", file=sys.stderr)
    _write(options.output_file, vocab_text(extended.vocab), len(extended.vocab))


def _train_bpe(options: argparse.Namespace) -> None:
    kind = BYTE_LEVEL[options.tokenizer or GPT2]
    bpe = train_byte_level_bpe(_lines(options), options.vocab_size, kind.special)
    tokenizer = kind.of_bpe(bpe)
    _report(save_tokenizer(tokenizer, options.output_file)[0], tokenizer.vocab_size)


def _write(path: Path, text: str, size: int) -> None:
    write_text_atomic(path, text)
    _report(path, size)


def _report(path: Path, size: int) -> None:
    print(f"{size:,} tokens", file=sys.stderr)
    print(path)


def _words(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: not UTF-8 (byte {error.start})") from None
    return [line.strip() for line in text.split("\n") if line.strip()]


def _lines(options: argparse.Namespace) -> Iterator[str]:
    for document in read_documents(_source(options), ReadReport()):
        yield from document.lines


def _source(options: argparse.Namespace) -> Source:
    files = tuple(
        file
        for text in options.input_file.split(",")
        if text
        for file in resolve_split(
            Location(text, spool_dir=options.output_file.parent).listing(), "train"
        )
    )
    reading = ReadOptions(
        file_format=options.input_format,
        on_error=options.on_error,
        text_field=tuple(options.text_field.split(",")),
    )
    return FileSource(files, reading)


def _boolean(text: str) -> bool:
    word = text.lower()
    if word in TRUE_WORDS | FALSE_WORDS:
        return word in TRUE_WORDS
    raise argparse.ArgumentTypeError("expected True or False")
