"""What both sides of the benchmarks on Chinese lines have in common.

The lines are examples of their own (no line sees another), words are jieba's, 15 % of the tokens
are predicted, in whole words, and rows have at most 128 tokens.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from benchmarks import chinese_text
from mindmlm.tokenizers.bert import BertTokenizer

MAX_TOKENS = 128
# hidden size, layers, heads, intermediate size
NETWORKS = {
    "base": (768, 12, 12, 3072),
    "small": (512, 4, 8, 2048),
    "mini": (256, 4, 4, 1024),
    "tiny": (128, 2, 2, 512),
}
# Lines of one turn of a worker: enough for batches of every length.
LINES_OF_A_TURN = 128
_SPECIAL = 2


@dataclass(frozen=True)
class Inputs:
    """Files of one side.

    Attributes:
        text: UTF-8, a line an example.
        vocab: a `vocab.txt`.
    """

    text: Path
    vocab: Path

    @classmethod
    def write(cls, folder: Path, lines: list[str]) -> "Inputs":
        """Write the lines, and a vocabulary for the whole text."""
        text = folder / "lines.txt"
        text.write_text("\n".join(lines) + "\n", encoding="utf-8")
        vocab = folder / "vocab.txt"
        chinese_text.write_vocabulary(chinese_text.all_lines(), vocab)
        return cls(text, vocab)

    def rows_of(self, lines: int) -> int:
        """How many full rows hold as many tokens as so many lines do on average, at least 1."""
        text = self.text.read_text(encoding="utf-8").split("\n")[:-1]
        encoded = BertTokenizer.from_vocab_file(self.vocab).encode_ids(text)
        tokens = [min(len(ids) + _SPECIAL, MAX_TOKENS) for ids in encoded]
        return max(1, round(lines * sum(tokens) / len(tokens) / MAX_TOKENS))


def steps_of_a_turn(options: argparse.Namespace) -> int:
    """Of batches alone many more, so that those made ahead of a turn do not count."""
    return LINES_OF_A_TURN * (64 if options.data_only else 1) // options.lines


def parser() -> argparse.ArgumentParser:
    """The arguments of both workers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, required=True, help="of a step")
    parser.add_argument("--network", choices=[*NETWORKS], default="base")
    parser.add_argument("--data_only", action="store_true", help="make batches and do not train")
    return parser
