"""Word vectors of a text by word2vec (Mikolov et al., 2013), through the library gensim.

The words are divided once and kept in a temporary file, so that memory holds the vocabulary and
the vectors but never the text.
"""

import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Any

import numpy as np
from tokenizers.pre_tokenizers import BertPreTokenizer
from tqdm import tqdm

from mindmlm.data.report import ReadReport
from mindmlm.data.segmentation import SegmenterOptions, load_splitter
from mindmlm.data.sources.base import WHOLE, Slice, Source, read_documents
from mindmlm.data.sources.optional import require
from mindmlm.errors import DataError
from mindmlm.tokenizers.bert import bert_normalizer

# Counting the words of an endless text would need endless memory: above, the rarest are forgotten.
_COUNTED_WORDS = 5_000_000
_REMEMBERED_WORDS = 1 << 17
_FEWEST_WORDS = 2
# gensim cuts longer sentences off.
_SENTENCE_WORDS = 10_000


@dataclass(frozen=True)
class VectorSettings:
    """How vectors are trained; the names are word2vec's.

    Attributes:
        vector_size: numbers of a vector.
        window: words looked at on either side.
        min_count: rarer words get no vector.
        max_words: at most so many words, the most frequent ones.
        epochs: passes over the text.
        negative: random words that each word is told apart from.
        skip_gram: predict the neighbours from the word (better on little text) instead of the word
            from its neighbours (CBOW, faster).
        seed: of first values and draws.
        workers: threads. One gives the same vectors every time; more do not.
    """

    vector_size: int = 100
    window: int = 5
    min_count: int = 5
    max_words: int = 30000
    epochs: int = 5
    negative: int = 5
    skip_gram: bool = True
    seed: int = 42
    workers: int = 1


@dataclass(frozen=True)
class WordVectors:
    """Words, the most frequent first, with float32 vectors [words, vector_size]."""

    words: tuple[str, ...]
    vectors: np.ndarray

    def lines(self) -> Iterator[str]:
        """Lines of word2vec's text format, the two counts first."""
        yield "{} {}".format(*self.vectors.shape)
        for word, vector in zip(self.words, self.vectors, strict=True):
            yield f"{word} {' '.join(f'{number:.6f}' for number in vector)}"

    def nearest(self, word: str, count: int) -> list[str]:
        """The words whose vectors have the largest cosine with that of `word`."""
        norms = np.linalg.norm(self.vectors, axis=1)
        place = self.words.index(word)
        cosines = self.vectors @ self.vectors[place] / np.maximum(norms, 1e-12)
        order = np.argsort(-cosines, kind="stable")
        return [self.words[other] for other in order if other != place][:count]


def word_divider(
    segmenter: str, options: SegmenterOptions, do_lower_case: bool
) -> Callable[[str], list[str]]:
    """Return (line) -> its words, normalised as BERT's tokenizer does, spaces left out.

    Args:
        segmenter: as in a configuration; "none" divides as BERT does before WordPiece.
        options: of jieba and rjieba.
        do_lower_case: lower-case the words and strip accents.

    Raises:
        DataError: the package of the segmenter is missing.
    """
    split = load_splitter(segmenter, options)
    normalizer, before_pieces = bert_normalizer(do_lower_case), BertPreTokenizer()

    @lru_cache(_REMEMBERED_WORDS)
    def normal(word: str) -> str:
        # The normalizer puts spaces around ideographs.
        return "".join(normalizer.normalize_str(word).split())

    def divide(line: str) -> list[str]:
        if split is None:
            text = normalizer.normalize_str(line)
            return [word for word, _ in before_pieces.pre_tokenize_str(text)]
        starts = split(line) if line else []
        pieces = [line[a:b] for a, b in zip(starts, [*starts[1:], None], strict=True)]
        return [word for piece in pieces if (word := normal(piece))]

    return divide


def train_word_vectors(
    source: Source,
    divide: Callable[[str], list[str]],
    settings: VectorSettings,
    report: ReadReport,
    num_samples: int | None = None,
    part: Slice = WHOLE,
    progress: bool = False,
) -> WordVectors:
    """Train vectors on the text of a source.

    Args:
        source: the text.
        divide: gives the words of a line.
        settings: see `VectorSettings`.
        report: counts what is read.
        num_samples: only so many documents.
        part: only this part of the text.
        progress: show a bar.

    Raises:
        DataError: gensim is missing, the text is faulty, or too few words are frequent enough.
    """
    word2vec = require("gensim.models.word2vec", "vectors", "training word vectors").Word2Vec
    logging.getLogger("gensim").setLevel(logging.ERROR)
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n") as kept:
        with tqdm(
            total=source.size_bytes(),
            unit="B",
            unit_scale=True,
            desc="dividing words",
            disable=not progress,
        ) as bar:
            words = _KeptWords(kept)
            for document in read_documents(source, report, num_samples, part):
                for line in document.lines:
                    words.add(divide(line))
                bar.update(report.bytes_read - bar.n)
        return _train(word2vec, words, settings, progress)


class _KeptWords:
    """The words of the text, in a file, and how often each occurs.

    Args:
        file: empty, open for writing and reading.
    """

    def __init__(self, file: IO[str]) -> None:
        self.file = file
        self.sentences = 0
        self.counts: Counter[str] = Counter()
        self._least = 1

    def add(self, words: list[str]) -> None:
        """Take in one line."""
        for begin in range(0, len(words), _SENTENCE_WORDS):
            self.file.write(" ".join(words[begin : begin + _SENTENCE_WORDS]) + "\n")
            self.sentences += 1
        self.counts.update(words)
        while len(self.counts) > _COUNTED_WORDS:
            self._least += 1
            for word in [word for word, count in self.counts.items() if count < self._least]:
                del self.counts[word]

    def frequent(self, min_count: int, max_words: int) -> dict[str, int]:
        """The most frequent words with their counts; of equally frequent ones the first by code."""
        enough = ((word, count) for word, count in self.counts.items() if count >= min_count)
        return dict(sorted(enough, key=lambda entry: (-entry[1], entry[0]))[:max_words])


class _Sentences:
    """The kept words, sentence by sentence, as often as they are asked for."""

    def __init__(self, file: IO[str], bar: "tqdm[Any]") -> None:
        self._file = file
        self._bar = bar

    def __iter__(self) -> Iterator[list[str]]:
        self._file.seek(0)
        for line in self._file:
            self._bar.update()
            yield line.split()


def _train(
    word2vec: Any, kept: _KeptWords, settings: VectorSettings, progress: bool
) -> WordVectors:
    frequent = kept.frequent(settings.min_count, settings.max_words)
    if len(frequent) < _FEWEST_WORDS:
        raise DataError(
            f"{len(frequent)} words of the text occur at least {settings.min_count} times; "
            "vectors need more text, or a smaller min_count"
        )
    model = word2vec(
        vector_size=settings.vector_size,
        window=settings.window,
        min_count=settings.min_count,
        epochs=settings.epochs,
        negative=settings.negative,
        sg=int(settings.skip_gram),
        seed=settings.seed,
        workers=settings.workers,
    )
    model.build_vocab_from_freq(frequent, corpus_count=kept.sentences)
    total = kept.sentences * settings.epochs
    with tqdm(total=total, desc="training vectors", unit=" sentences", disable=not progress) as bar:
        sentences = _Sentences(kept.file, bar)
        model.train(sentences, total_examples=kept.sentences, epochs=settings.epochs)
    words: Sequence[str] = model.wv.index_to_key
    return WordVectors(tuple(words), np.asarray(model.wv.vectors, np.float32))
