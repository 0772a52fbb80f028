"""The command behind `tools/train_word_vectors.py`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mindmlm.build_data.sources import table_source, training_files
from mindmlm.build_data.tool_flags import FILES, KEY_FLAGS, TABLE, KeyFlag, in_flags, tool_config
from mindmlm.cli.flag_values import add_key_flag, part, positive
from mindmlm.config.schema import RunConfig
from mindmlm.data.report import ReadReport
from mindmlm.data.segmentation import REFERENCE_FILE, SegmenterOptions
from mindmlm.data.similar_word_files import SimilarWordSettings, load_similar_words
from mindmlm.data.sources.base import WHOLE, Source
from mindmlm.data.word_vectors import (
    VectorSettings,
    WordVectors,
    train_word_vectors,
    word_divider,
)
from mindmlm.errors import ConfigError, MindmlmError
from mindmlm.runtime.files import write_text_atomic
from mindmlm.tokenizers.bert import BertTokenizer

_DESCRIPTION = """\
Train word vectors on text, for the similar words of masking strategy macbert: the file that
train_dataset.masking.similar_words.file names, in word2vec's text format.

Words are those of the segmenter that training will use. With one worker (the default) the same
text and seed give the same file. Needs gensim: pip install 'mindmlm[vectors]'.
"""
_EXAMPLES = """\
examples:
  python tools/train_word_vectors.py --input_file news.txt --output_file vectors.txt
  only words of your dictionary, and a look at what the vocabulary can use
    python tools/train_word_vectors.py --input_file 'news/*.jsonl.gz' --text_field body \\
        --user_dict terms.txt --vocab_file vocab.txt --antonym_file antonyms.txt \\
        --output_file vectors.txt
"""
_WORDS, _VECTORS, _CHECK = "words", "vectors", "check with a vocabulary"
_WORD_FLAGS = ("segmenter", "user_dict", "hmm", "do_lower_case")
_SHOWN_WORDS, _SHOWN_NEIGHBOURS, _FIRST_SHOWN = 5, 5, 20


def _flags() -> dict[str, list[KeyFlag]]:
    """The flags that are keys of a run too, by the group of the help."""
    by_name = {flag.name: flag for flag in KEY_FLAGS}
    return {
        FILES: [flag for flag in KEY_FLAGS if flag.group == FILES],
        TABLE: [flag for flag in KEY_FLAGS if flag.group == TABLE],
        _WORDS: [by_name[name] for name in _WORD_FLAGS],
    }


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="train_word_vectors.py",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    groups = {title: parser.add_argument_group(title) for title in (*_flags(), _VECTORS, _CHECK)}
    groups[FILES].add_argument(
        "--input_file",
        default="",
        help="files, folders, patterns, addresses (s3://...) or - (standard input), commas "
        "between them",
    )
    groups[FILES].add_argument(
        "--part", type=part, default=WHOLE, metavar="I/N", help="read only part I (from 0) of N"
    )
    _add_check_flags(groups[_CHECK])
    _add_vector_flags(groups[_VECTORS])
    for title, flags in _flags().items():
        for flag in flags:
            add_key_flag(groups[title], flag)
    return parser


def _add_check_flags(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--vocab_file",
        type=Path,
        help="a vocab.txt: count the words that have a similar one of as many pieces",
    )
    group.add_argument(
        "--antonym_file",
        default="",
        help="words of one line are never put in place of each other, as in training",
    )
    group.add_argument(
        "--max_similar",
        type=positive,
        default=5,
        help="how many nearest words a word may become; default 5",
    )


def _add_vector_flags(group: argparse._ArgumentGroup) -> None:
    add, default = group.add_argument, VectorSettings()
    add("--output_file", type=Path, required=True, help="the file of vectors to write")
    for name, text in (
        ("vector_size", "numbers of a vector"),
        ("window", "words looked at on either side"),
        ("min_count", "rarer words get no vector"),
        ("max_words", "at most so many words, the most frequent ones"),
        ("epochs", "passes over the text"),
        ("negative", "random words that each word is told apart from"),
    ):
        value = getattr(default, name)
        add(f"--{name}", type=positive, default=value, help=f"{text}; default {value}")
    add(
        "--architecture",
        choices=["skip_gram", "cbow"],
        default="skip_gram",
        help="skip_gram (default) is better on little text, cbow faster",
    )
    add("--seed", type=int, default=default.seed, help=f"default {default.seed}")
    add(
        "--num_workers",
        type=positive,
        default=default.workers,
        help="threads; default 1: the same file every time. More are faster, and the vectors "
        "differ a little from run to run",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; a user's error is printed as one message."""
    try:
        _run(build_parser().parse_args(argv))
    except MindmlmError as error:
        print(f"train_word_vectors: error: {in_flags(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _run(options: argparse.Namespace) -> None:
    config, report = _config(options), ReadReport()
    words = config.processor
    tokenizer = None
    if options.vocab_file:
        tokenizer = BertTokenizer.from_vocab_file(options.vocab_file, words.tokenizer.do_lower_case)
    divide = word_divider(
        words.segmenter,
        SegmenterOptions.from_file(words.user_dict, words.hmm),
        words.tokenizer.do_lower_case,
    )
    vectors = train_word_vectors(
        _source(options, config),
        divide,
        _settings(options),
        report,
        config.train_dataset.data_loader.num_samples,
        options.part,
        progress=True,
    )
    options.output_file.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(options.output_file, "\n".join(vectors.lines()) + "\n")
    print(report.text_summary(), file=sys.stderr)
    _show(vectors)
    if tokenizer:
        _check(options, tokenizer)
    print(options.output_file)


def _config(options: argparse.Namespace) -> RunConfig:
    """What the flags that stand for keys say, checked."""
    given = {
        flag.name: [value] if isinstance(value, str) else value
        for flags in _flags().values()
        for flag in flags
        if (value := getattr(options, flag.name)) is not None
    }
    is_table = any(flag.name in given for flag in _flags()[TABLE])
    if is_table == bool(options.input_file):
        raise ConfigError(
            "--input_file and a table (--url, --query ...) exclude each other"
            if is_table
            else "--input_file is missing: name a text, or a table by --url and --query"
        )
    if options.antonym_file and not options.vocab_file:
        raise ConfigError("--antonym_file: needs --vocab_file, whose words it is about")
    # Vectors are there before the strategy that reads them; this one needs words as well.
    config = tool_config({**given, "strategy": ["whole_word"]}, options.input_file)
    if config.processor.segmenter == REFERENCE_FILE:
        raise ConfigError(
            f"--segmenter {REFERENCE_FILE}: its words are places of tokens; use the segmenter that "
            "made it, or presegmented text"
        )
    return config


def _source(options: argparse.Namespace, config: RunConfig) -> Source:
    if not options.input_file:
        return table_source(config, config.train_dataset.data_loader.query)
    places = [place for place in options.input_file.split(",") if place]
    return training_files(config, places, options.output_file.parent)


def _settings(options: argparse.Namespace) -> VectorSettings:
    return VectorSettings(
        vector_size=options.vector_size,
        window=options.window,
        min_count=options.min_count,
        max_words=options.max_words,
        epochs=options.epochs,
        negative=options.negative,
        skip_gram=options.architecture == "skip_gram",
        seed=options.seed,
        workers=options.num_workers,
    )


def _show(vectors: WordVectors) -> None:
    """Print the neighbours of some frequent words, by which a person can judge."""
    count, size = vectors.vectors.shape
    print(f"{count:,} words, {size} numbers each", file=sys.stderr)
    long_words = [word for word in vectors.words if len(word) > 1 and word.isalpha()]
    for word in long_words[_FIRST_SHOWN : _FIRST_SHOWN + _SHOWN_WORDS]:
        print(f"  {word}: {' '.join(vectors.nearest(word, _SHOWN_NEIGHBOURS))}", file=sys.stderr)


def _check(options: argparse.Namespace, tokenizer: BertTokenizer) -> None:
    """Read the file as training will, with the rules of macbert."""
    settings = SimilarWordSettings(
        str(options.output_file), options.antonym_file, options.max_similar, options.max_words
    )
    table = load_similar_words(settings, tokenizer)
    print(
        f"{table.number_with_similar:,} of {len(table):,} words that the vocabulary can write have "
        "a similar one of as many pieces",
        file=sys.stderr,
    )
