"""Worker: Chinese text to tokens and word borders the published way, in one process.

jieba's words of each line, then BERT's tokenizer in Python (transformers' `BertTokenizer` is
google-research/bert's `tokenization.py`), and "##" put before the pieces that continue a word, as
scripts that build Chinese whole-word records do.
"""

import logging
import tempfile
import warnings
from pathlib import Path

from benchmarks import chinese_text
from benchmarks.worker import serve

warnings.simplefilter("ignore")
import jieba  # noqa: E402
from transformers import BertTokenizer  # noqa: E402


def main() -> None:
    """Serve."""
    jieba.setLogLevel(logging.WARNING)
    lines = chinese_text.lines()
    with tempfile.TemporaryDirectory() as folder:
        path = chinese_text.write_vocabulary(lines, Path(folder) / "vocab.txt")
        tokenizer = BertTokenizer(str(path))

    def work() -> float:
        for line in lines:
            tokens = []
            for word in jieba.lcut(line):
                pieces = tokenizer.tokenize(word)
                tokens += pieces[:1] + ["##" + piece for piece in pieces[1:]]
            tokenizer.convert_tokens_to_ids([token.removeprefix("##") for token in tokens])
        return chinese_text.megabytes(lines)

    serve(work, warm_up=1)


if __name__ == "__main__":
    main()
