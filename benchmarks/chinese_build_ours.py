"""Worker: Chinese text to tokens and word borders by ours, with the segmenter that is named.

The text is repeated so that starting the processes does not count, every time with other digits
and letters. What jieba's hidden Markov model makes of a run of characters is remembered from one
repetition to the next; in text that does not repeat fewer of them come again.
"""

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks import chinese_text
from benchmarks.worker import serve
from mindmlm.data.encoding_pool import encode_documents
from mindmlm.data.sources.text import Document
from mindmlm.tokenizers.bert import BertTokenizer


def main() -> None:
    """Read the text, serve; one process a core."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--segmenter", required=True)
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args()
    text = chinese_text.lines()
    with tempfile.TemporaryDirectory() as folder:
        path = chinese_text.write_vocabulary(text, Path(folder) / "vocab.txt")
        tokenizer = BertTokenizer.from_vocab_file(path)
    lines = [line for n in range(options.repeat) for line in chinese_text.variation(text, n)]
    documents = [Document((line,)) for line in lines]
    workers = len(os.sched_getaffinity(0))

    def work() -> float:
        for _ in encode_documents(documents, tokenizer, options.segmenter, workers):
            pass
        return chinese_text.megabytes(text) * options.repeat

    serve(work, warm_up=1)


if __name__ == "__main__":
    main()
