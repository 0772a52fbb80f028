"""The command behind `tools/build_dataset.py`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from mindmlm.build_data.masking import constant_masking, segmenter, strategies
from mindmlm.build_data.sources import table_source, training_files
from mindmlm.build_data.tool_flags import (
    FILES,
    KEY_FLAGS,
    MASKS,
    ROWS,
    TABLE,
    VOCABULARY,
    in_flags,
    tool_config,
)
from mindmlm.cli.flag_values import (
    add_key_flag,
    part,
    positive,
    probability,
    shard_mb,
    truth,
)
from mindmlm.config.schema import RunConfig
from mindmlm.data.building.build import BuildResult, build_dataset
from mindmlm.data.building.settings import BuildSettings
from mindmlm.data.building.shards import MINDRECORD, TFRECORD
from mindmlm.data.masking import MaskingSettings
from mindmlm.data.records.rows import CAUSAL, DYNAMIC, STATIC
from mindmlm.data.segmentation import REFERENCE_FILE, SegmenterOptions
from mindmlm.data.sentence_pairs import NSP, SINGLE, SOP
from mindmlm.data.sources.base import WHOLE, Source
from mindmlm.errors import ConfigError, MindmlmError
from mindmlm.runtime.environment import prepare_environment
from mindmlm.tokenizers.files import BERT, GPT2, AnyTokenizer, MaskingTokenizer, load_tokenizer

Number = TypeVar("Number", int, float)

_DESCRIPTION = """\
Turn text into records for training: once, instead of at the start of every run.

--static stores masked rows with the seven fields of Google's create_pretraining_data.py;
--dynamic stores tokens and word boundaries, so that training makes new masks in every epoch.
With --tokenizer GPT2Tokenizer rows are blocks of max_seq_length + 1 tokens for a GPT-2, one column
input_ids; every token of the text is predicted once, and nothing is masked.
"""
_EXAMPLES = """\
examples:
  masked rows in one file, as the scripts around google-research/bert made them
    python tools/build_dataset.py --input_file=raw.txt --output_file=pre_data.tfrecord \\
        --vocab_file=vocab.txt --do_whole_word_mask=True --dupe_factor=5 --random_seed=123456
  MindRecord shards to be masked during training, a pool of 8 processes; again after a crash
    python tools/build_dataset.py --input_file='news/*.txt' --output_file=records/ \\
        --vocab_file=vocab.txt --format mindrecord --dynamic --num_workers 8 --resume
  the second quarter of a table, masked by whole words and spans
    python tools/build_dataset.py --url=sqlite:///news.db --query='SELECT id, body FROM articles' \\
        --text_field body --part 1/4 --output_file=part1/ --vocab_file=vocab.txt \\
        --strategy mixture --mixture whole_word=2,span=1
  rows of a RoBERTa, to be masked during training
    python tools/build_dataset.py --input_file='news/*.txt' --output_file=records/ --dynamic \\
        --tokenizer RobertaTokenizer --vocab_file=vocab.json --max_seq_length=512
  blocks of 1025 tokens for a GPT-2
    python tools/build_dataset.py --input_file='news/*.txt' --output_file=blocks.mindrecord \\
        --tokenizer GPT2Tokenizer --vocab_file=vocab.json --merges_file=merges.txt \\
        --max_seq_length=1024

Flags that are keys of a run as well (strategy, cleaning, query ...) mean the same there.
docs/prepared-data.md explains the files and how to train on them.
"""
_STATIC_COPIES = 10
_SHORT_SEQ_PROB = 0.1
_RANDOM_SEED = 12345
# Flags of BERT's rows that are no keys.
_ROWS_OF_BERT = ("short_seq_prob", "dupe_factor", "random_seed", "sentence_pairs")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="build_dataset.py",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for title, add_own in (
        (FILES, _add_input),
        (TABLE, None),
        (VOCABULARY, None),
        ("output", _add_output),
        (ROWS, _add_rows),
        (MASKS, _add_masks),
    ):
        group = parser.add_argument_group(title)
        if add_own:
            add_own(group)
        for flag in KEY_FLAGS:
            if flag.group == title:
                add_key_flag(group, flag)
    return parser


def _add_input(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--input_file",
        default="",
        help="files, folders, patterns, addresses (s3://...) or - (standard input), commas "
        "between them",
    )
    group.add_argument(
        "--part",
        type=part,
        default=WHOLE,
        metavar="I/N",
        help="build only part I (from 0) of N of the input, on a machine of its own; files as well "
        "as tables",
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
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
        "--shard_mb",
        type=shard_mb,
        default=16,
        help="text of a shard in MB, every pass over it counted; default 16",
    )
    group.add_argument(
        "--num_workers", type=positive, default=os.cpu_count() or 1, help="default: all cores"
    )
    _add_switch(group, "resume", False, "go on with a build that ended early")


def _add_rows(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--short_seq_prob", type=probability, help=f"default {_SHORT_SEQ_PROB}")
    group.add_argument(
        "--dupe_factor",
        type=positive,
        help=f"passes over the text, each masked anew; default {_STATIC_COPIES} (--dynamic: 1)",
    )
    group.add_argument("--random_seed", type=int, help=f"default {_RANDOM_SEED}")
    group.add_argument(
        "--sentence_pairs",
        choices=[SINGLE, NSP, SOP],
        help="nsp: next-sentence pairs (BERT); sop: sentence order (ALBERT); default none",
    )


def _add_masks(group: argparse._ArgumentGroup) -> None:
    _add_switch(group, "do_whole_word_mask", False, "short for --strategy whole_word")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; a user's error is printed as one message."""
    prepare_environment()
    try:
        options = build_parser().parse_args(argv)
        result = _build(options)
    except MindmlmError as error:
        print(f"build_dataset: error: {in_flags(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("build_dataset: stopped; --resume goes on from here", file=sys.stderr)
        return 130
    print(f"{result.report.summary()}\n{result.rows:,} rows in", file=sys.stderr)
    for path in result.files:
        print(path)
    return 0


def _build(options: argparse.Namespace) -> BuildResult:
    config = _config(options)
    tokenizer = load_tokenizer(config.processor.tokenizer)
    return build_dataset(
        _source(options, config),
        tokenizer,
        _settings(options, config, tokenizer),
        options.output_file,
        resume=options.resume,
        progress=True,
    )


def _config(options: argparse.Namespace) -> RunConfig:
    """Return what the flags that stand for keys say, checked."""
    given = {
        flag.name: [value] if isinstance(value, str) else value
        for flag in KEY_FLAGS
        if (value := getattr(options, flag.name)) is not None
    }
    if "vocab_file" not in given:
        raise ConfigError(
            "--vocab_file is missing: name the vocab.txt (BERT) or vocab.json (RoBERTa, GPT-2) of "
            "the model"
        )
    is_table = any(flag.name in given for flag in KEY_FLAGS if flag.group == TABLE)
    if is_table == bool(options.input_file):
        raise ConfigError(
            "--input_file and a table (--url, --query ...) exclude each other"
            if is_table
            else "--input_file is missing: name a text, or a table by --url and --query"
        )
    if options.do_whole_word_mask and given.setdefault("strategy", ["whole_word"]) != [
        "whole_word"
    ]:
        raise ConfigError(
            f"--do_whole_word_mask is short for --strategy whole_word, and --strategy is "
            f"{given['strategy'][0]}; remove one of them"
        )
    if given.get("tokenizer", [BERT])[-1] == GPT2:
        _leave_masks_out(options, given)
    elif "sample_mode" in given:
        raise ConfigError("--sample_mode: only --tokenizer GPT2Tokenizer has it; remove it")
    elif options.form == DYNAMIC:
        _leave_masks_to_training(given)
    config = tool_config(given, options.input_file)
    _check_lengths(options, config)
    _check_part(options, config)
    return config


def _leave_masks_to_training(given: dict[str, list[str]]) -> None:
    """Dynamic rows keep their words, whatever the strategy of the training run will be."""
    for flag in KEY_FLAGS:
        if flag.group == MASKS and flag.name in given:
            raise ConfigError(
                f"--{flag.name}: --dynamic leaves masks to the configuration of the training run; "
                "remove it, or use --static"
            )
    given.update(strategy=["whole_word"], max_predictions_per_seq=["null"])


def _leave_masks_out(options: argparse.Namespace, given: dict[str, list[str]]) -> None:
    """Nothing of a GPT-2's rows is masked, random or a pair."""
    wrong = [name for name in _ROWS_OF_BERT if getattr(options, name) is not None]
    of_masks = [flag.name for flag in KEY_FLAGS if flag.group == MASKS]
    wrong += [name for name in ("segmenter", *of_masks) if name in given]
    wrong += [options.form] if options.form else []
    if wrong:
        raise ConfigError(
            f"--{wrong[0]}: BERT's rows have it, not those of a GPT-2 (--tokenizer "
            "GPT2Tokenizer), where every token is predicted; remove it"
        )
    options.form, options.dupe_factor = CAUSAL, 1
    given.update(max_predictions_per_seq=["null"])


def _check_part(options: argparse.Namespace, config: RunConfig) -> None:
    if options.part != WHOLE and config.processor.segmenter == REFERENCE_FILE:
        raise ConfigError(
            "--part: --segmenter reference_file pairs its lines with those of the whole text; "
            "build without --part"
        )


def _source(options: argparse.Namespace, config: RunConfig) -> Source:
    if not options.input_file:
        return table_source(config, config.train_dataset.data_loader.query)
    places = [place for place in options.input_file.split(",") if place]
    return training_files(config, places, options.output_file.parent)


def _settings(
    options: argparse.Namespace, config: RunConfig, tokenizer: AnyTokenizer
) -> BuildSettings:
    form = options.form or STATIC
    words, data = config.processor, config.train_dataset
    masking = MaskingSettings()
    if isinstance(tokenizer, MaskingTokenizer):
        masking = constant_masking(config, tokenizer)
        if form == STATIC and "rare_token" in strategies(config):
            raise ConfigError(
                "--strategy rare_token: needs the counts of the whole text before the first row is "
                "masked; build with --dynamic, and the training run masks"
            )
    return BuildSettings(
        record_format=_record_format(options),
        form=form,
        max_seq_length=data.max_seq_length,
        sample_mode=data.sample_mode,
        masking=masking,
        sentence_pairs=options.sentence_pairs or SINGLE,
        short_seq_prob=_or_default(options.short_seq_prob, _SHORT_SEQ_PROB),
        dupe_factor=options.dupe_factor or (_STATIC_COPIES if form == STATIC else 1),
        random_seed=_or_default(options.random_seed, _RANDOM_SEED),
        segmenter=segmenter(config),
        segmenter_options=SegmenterOptions.from_file(words.user_dict, words.hmm),
        reference_file=words.reference_file,
        num_samples=data.data_loader.num_samples,
        part=options.part,
        shard_bytes=options.shard_mb << 20,
        workers=options.num_workers,
    )


def _or_default(value: Number | None, default: Number) -> Number:
    return default if value is None else value


def _record_format(options: argparse.Namespace) -> str:
    by_name = {f".{name}": name for name in (TFRECORD, MINDRECORD)}.get(options.output_file.suffix)
    if options.format and by_name and options.format != by_name:
        raise ConfigError(
            f"--output_file {options.output_file} is a {by_name} file by its name and --format is "
            f"{options.format}; change one of them"
        )
    return options.format or by_name or TFRECORD


def _check_lengths(options: argparse.Namespace, config: RunConfig) -> None:
    length = config.train_dataset.max_seq_length
    if options.form == CAUSAL:
        return
    special = 3 if options.sentence_pairs in (NSP, SOP) else 2
    if length < special + 2:
        raise ConfigError(f"--max_seq_length {length}: at least {special + 2}")
    predictions = config.train_dataset.max_predictions_per_seq or 0
    if predictions > length - special:
        raise ConfigError(
            f"--max_predictions_per_seq {predictions}: at most {length - special} fit "
            f"--max_seq_length {length} ({special} tokens are special)"
        )


def _add_switch(group: argparse._ArgumentGroup, name: str, default: bool, text: str) -> None:
    """Add `--NAME`, `--NAME=True` and `--NAME=False`, the forms of TensorFlow's scripts."""
    group.add_argument(
        f"--{name}",
        type=truth,
        nargs="?",
        const=True,
        default=default,
        metavar="True|False",
        help=f"{text}; default {default}",
    )
