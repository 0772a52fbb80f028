from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from mindmlm.data.report import ReadReport
from mindmlm.data.sources.base import WHOLE, Document, Position, Slice, Source
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer

WORDS = [f"w{letter}{other}" for letter in "abcdefghij" for other in "abcdefghij"]


@dataclass
class ListSource(Source):
    """Documents in memory; `fails_at` stands for a killed process."""

    texts: list[tuple[str, ...]]
    fails_at: int | None = None
    reads: int = 0

    @property
    def name(self) -> str:
        return "list"

    def documents(
        self, report: ReadReport, part: Slice = WHOLE, start: Position | None = None
    ) -> Iterator[tuple[Position, Document]]:
        for number in range(int(start[0]) if start else 0, len(self.texts)):
            if number == self.fails_at:
                raise KeyboardInterrupt
            self.reads += 1
            report.lines += len(self.texts[number])
            report.bytes_read += sum(map(len, self.texts[number]))
            yield (number + 1,), Document(self.texts[number])

    def identity(self) -> dict[str, Any]:
        return {"texts": self.texts}

    def size_bytes(self) -> int:
        return sum(len(line) for text in self.texts for line in text)


@pytest.fixture(scope="session")
def tokenizer() -> BertTokenizer:
    return BertTokenizer([*SPECIAL_TOKENS, *WORDS, "##x", "##y"])


@pytest.fixture(scope="session")
def texts() -> list[tuple[str, ...]]:
    rng = np.random.default_rng(3)
    endings = ["", "", "x", "xy"]
    return [
        tuple(
            " ".join(str(rng.choice(WORDS)) + str(rng.choice(endings)) for _ in range(size))
            for size in rng.integers(3, 40, rng.integers(1, 8))
        )
        for _ in range(60)
    ]


@pytest.fixture
def source(texts: list[tuple[str, ...]]) -> ListSource:
    return ListSource(texts)
