"""The command behind `tools/convert_checkpoint.py`."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mindmlm.config.schema.types import FALSE_WORDS, TRUE_WORDS
from mindmlm.errors import MindmlmError
from mindmlm.runtime.environment import prepare_environment

if TYPE_CHECKING:
    from mindmlm.conversion.convert import Conversion

_DESCRIPTION = """\
Convert a checkpoint of BERT, RoBERTa, GPT-2 or ELECTRA to another format. The input's format is
recognised; nothing of the input is run, and neither TensorFlow nor PyTorch is needed to read it.
The output must not exist yet, and it appears whole or not at all.

A tensor that is missing, left over or of another shape is an error that names it.
"""
_EXAMPLES = """\
examples:
  a Hugging Face folder, to train on from with --load_checkpoint (which takes the folder itself too)
    python tools/convert_checkpoint.py --input bert-base-chinese --output output/base --to mindmlm
  the newest checkpoint of a run, for transformers
    python tools/convert_checkpoint.py --input output/news --output news-bert --to huggingface
  the mean of its last three checkpoints
    python tools/convert_checkpoint.py --input output/news --average 3 --output mean --to mindmlm
  Google's checkpoint of TensorFlow 1
    python tools/convert_checkpoint.py --input chinese_L-12_H-768_A-12 --output zh --to huggingface
  a GPT-2 of ours, for transformers
    python tools/convert_checkpoint.py --input output/gpt2 --output my-gpt2 --to huggingface
  the discriminator of an ELECTRA of ours, for fine-tuning with transformers
    python tools/convert_checkpoint.py --input output/electra --output my-electra --to huggingface
  a discriminator and a generator of Hugging Face, to train on from
    python tools/convert_checkpoint.py --input electra-small-discriminator \\
        --generator electra-small-generator --output output/electra --to mindmlm
  a MindFormers file, which does not say how many attention heads there are
    python tools/convert_checkpoint.py --input bert_base.ckpt --model_config config.json \\
        --vocab_file vocab.txt --output base --to huggingface

docs/conversion.md explains the formats and what is checked.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="convert_checkpoint.py",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_input(parser.add_argument_group("input"))
    _add_output(parser.add_argument_group("output"))
    _add_changes(parser.add_argument_group("what may differ"))
    return parser


def _add_input(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--input",
        required=True,
        help="a folder (Hugging Face, Google, a run of ours or one step of it), a file "
        "(.safetensors, .bin, .ckpt), the prefix of a TensorFlow checkpoint, or the name of a "
        "model in $MINDMLM_HOME",
    )
    add(
        "--from",
        dest="kind",
        choices=["mindmlm", "huggingface", "tensorflow", "mindspore", "pytorch"],
        help="format of the input; default: recognised",
    )
    add(
        "--model_config",
        type=Path,
        help="config.json or bert_config.json; default: the one beside the weights",
    )
    add(
        "--vocab_file",
        type=Path,
        help="vocab.txt (BERT), vocab.json or tokenizer.json (GPT-2, RoBERTa); default: the one "
        "beside the weights",
    )
    add(
        "--merges_file",
        type=Path,
        help="GPT-2, RoBERTa: merges.txt; default: the one beside vocab.json",
    )
    add(
        "--do_lower_case",
        type=_boolean,
        help="BERT; default: what tokenizer_config.json says, else whether the vocabulary has "
        "capitals",
    )
    add(
        "--generator",
        type=Path,
        metavar="FOLDER",
        help="ELECTRA: the folder of the generator that belongs to the discriminator in --input",
    )
    add(
        "--average",
        type=int,
        default=0,
        metavar="K",
        help="mean of the last K checkpoints of a run",
    )


def _add_output(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--output",
        required=True,
        type=Path,
        help="a new folder; with mindspore and pytorch also a file name (.ckpt, .bin)",
    )
    add(
        "--to",
        dest="target",
        required=True,
        choices=["mindmlm", "huggingface", "mindspore", "pytorch"],
        help="format of the output: mindmlm, a run folder; huggingface, safetensors for "
        "transformers; mindspore, a .ckpt; pytorch, pytorch_model.bin (needs torch)",
    )
    add(
        "--names",
        choices=["mindmlm", "mindformers", "distilbert"],
        default="mindmlm",
        help="names of the tensors: in a .ckpt mindmlm (default) or mindformers; distilbert, with "
        "huggingface and pytorch, makes a DistilBertForMaskedLM of a BERT",
    )
    add(
        "--part",
        choices=["discriminator", "generator"],
        default="discriminator",
        help="ELECTRA, with huggingface and pytorch: which of its networks; default discriminator",
    )
    for axis in ("data_parallel", "model_parallel", "pipeline_stage"):
        add(
            f"--{axis}",
            type=_positive,
            default=1,
            metavar="N",
            help="with mindmlm: divide the files as so many processes would; any layout reads them",
        )
    add("--optimizer_shard", type=_boolean, default=False, help="divide the optimizer too (ZeRO-1)")
    add("--vocab_emb_dp", type=_boolean, default=True, help="False divides the word embedding too")
    add("--report", type=Path, metavar="FILE", help="write what became of each tensor as JSON")
    add("--verbose", action="store_true", help="print a line for each tensor")


def _add_changes(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--allow_missing",
        action="append",
        default=[],
        metavar="PATTERN",
        help="our names that may be missing and get new random values, such as 'head.*'; may be "
        "given several times",
    )
    add(
        "--allow_unexpected",
        action="append",
        default=[],
        metavar="PATTERN",
        help="names in the input that may be left out, such as 'my_head.*'",
    )
    add(
        "--resize_vocab",
        type=Path,
        metavar="VOCAB",
        help="a vocabulary that begins with the old one (vocab.txt; vocab.json with merges.txt "
        "beside it); the model gets rows for its new tokens",
    )
    add(
        "--new_rows",
        choices=["pieces", "mean"],
        default="pieces",
        help="new rows are the mean of the pieces a token was divided into (default), or of all",
    )
    add("--resize_positions", type=_positive, metavar="N", help="another number of positions")
    add("--seed", type=int, default=42, help="of new random values; default 42")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code; a user's error is printed as one message."""
    prepare_environment()
    options = build_parser().parse_args(argv)
    # Imported late, so that --help does not wait.
    from mindmlm.conversion.convert import convert
    from mindmlm.runtime.files import write_text_atomic

    try:
        report = convert(_job(options))
        if options.report:
            text = json.dumps(report.as_dict(), indent=1, ensure_ascii=False)
            write_text_atomic(options.report, text + "\n")
    except MindmlmError as error:
        print(f"convert_checkpoint: error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"convert_checkpoint: error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("convert_checkpoint: stopped; nothing was written", file=sys.stderr)
        return 130
    print(report.as_text(options.verbose), file=sys.stderr)
    print(options.output)
    return 0


def _job(options: argparse.Namespace) -> "Conversion":
    from mindmlm.conversion.convert import Conversion
    from mindmlm.conversion.matching import Allowances
    from mindmlm.conversion.names import resolve_name
    from mindmlm.conversion.resharding import FileLayout
    from mindmlm.conversion.tokenizer_files import GivenTokenizer
    from mindmlm.parallel.layout import ParallelLayout

    grid = ParallelLayout(options.data_parallel, options.model_parallel, options.pipeline_stage)
    return Conversion(
        input=resolve_name(options.input),
        output=options.output,
        target=options.target,
        kind=options.kind,
        names=options.names,
        model_config=options.model_config,
        tokenizer=GivenTokenizer(options.vocab_file, options.merges_file, options.do_lower_case),
        allowances=Allowances(tuple(options.allow_missing), tuple(options.allow_unexpected)),
        resize_vocab=options.resize_vocab,
        new_rows=options.new_rows,
        resize_positions=options.resize_positions,
        seed=options.seed,
        average=options.average,
        generator=options.generator,
        part=options.part,
        layout=FileLayout(grid, options.optimizer_shard, options.vocab_emb_dp),
        progress=True,
    )


def _boolean(text: str) -> bool:
    word = text.lower()
    if word in TRUE_WORDS | FALSE_WORDS:
        return word in TRUE_WORDS
    raise argparse.ArgumentTypeError("expected True or False")


def _positive(text: str) -> int:
    if text.isdecimal() and int(text):
        return int(text)
    raise argparse.ArgumentTypeError("expected a whole number from 1")
