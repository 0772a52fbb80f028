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
    lines = (
        "".join(rng.choice(rng.choice((_CHARACTERS, _WORDS))) for _ in range(rng.randint(8, 40)))
        for _ in range(documents)
    )
    path.write_text("".join(f"{line}。\n" for line in lines), encoding="utf-8")
    return path
