"""Small Chinese texts made from a seed."""

import random
from pathlib import Path

# Characters, and words of two of them, so that whole-word masking has something to keep together.
_CHARACTERS = "天地人你我他大小山水火木金土春夏秋冬东西南北上下左右花草树鸟鱼虫看听说读写走来去"
_WORDS = ("中国", "学生", "老师", "今天", "明月", "学校", "天气", "时间", "知识", "历史")


def write_corpus(path: Path, documents: int = 120, seed: int = 1) -> Path:
    """Write `documents` lines of 8 to 40 random words each; the same seed gives the same bytes.

    Returns:
        `path`.

    Raises:
        OSError: it cannot be written.
    """
    rng = random.Random(seed)
    path.write_text("".join(_line(rng, 8, 40) for _ in range(documents)), encoding="utf-8")
    return path


def write_documents(path: Path, documents: int = 60, seed: int = 1) -> Path:
    """Write `documents` documents of 1 to 8 lines of 3 to 12 words, blank lines between them.

    Each has a topic: a third of its words are the same one.

    Returns:
        `path`.

    Raises:
        OSError: it cannot be written.
    """
    rng = random.Random(seed)
    texts = []
    for _ in range(documents):
        topic = rng.choice(_CHARACTERS)
        texts.append("".join(_line(rng, 3, 12, topic) for _ in range(rng.randint(1, 8))))
    path.write_text("\n".join(texts), encoding="utf-8")
    return path


def _line(rng: random.Random, shortest: int, longest: int, topic: str = "") -> str:
    words = []
    for _ in range(rng.randint(shortest, longest)):
        word = rng.choice(rng.choice((_CHARACTERS, _WORDS)))
        words.append(topic if topic and rng.random() < 1 / 3 else word)
    return "".join(words) + "。\n"
