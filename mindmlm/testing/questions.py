"""Small files of questions that a small model can learn to answer."""

import json
from pathlib import Path

import numpy as np

NAMES = ("anna", "ben", "clara", "david", "emma", "felix", "greta", "hugo", "ida", "jonas")
TOWNS = ("london", "paris", "berlin", "madrid", "vienna", "oslo", "rome", "dublin")
FOODS = ("apples", "bread", "cheese", "rice", "soup")
_OTHERS = ("my", "name", "is", "and", "i", "live", "in", "like", "to", "eat", "the", "evening")
_ASKED = ("where", "do", "what", "?", ".", "-")
VOCABULARY = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *_OTHERS,
    *_ASKED,
    *NAMES,
    *TOWNS,
    *FOODS,
)


def write_vocabulary(path: Path) -> Path:
    """Write the words of all questions as a `vocab.txt`."""
    path.write_text("".join(f"{word}\n" for word in VOCABULARY), encoding="utf-8")
    return path


def write_questions(path: Path, paragraphs: int, seed: int = 0) -> Path:
    """Write so many random paragraphs with two questions each, in the layout of SQuAD."""
    rng = np.random.default_rng(seed)
    found = [_paragraph(rng, f"{seed}-{number}") for number in range(paragraphs)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": "1.1", "data": [{"paragraphs": found}]}))
    return path


def write_squad(folder: Path, paragraphs: int = 40) -> Path:
    """Write a folder with files for training and for evaluation; returns it."""
    write_questions(folder / "train-v1.1.json", paragraphs)
    write_questions(folder / "dev-v1.1.json", paragraphs // 2, seed=1)
    return folder


def _paragraph(rng: np.random.Generator, name: str) -> dict:
    who, town, food = (str(rng.choice(words)) for words in (NAMES, TOWNS, FOODS))
    context = f"My name is {who} and I live in {town}. I like to eat {food} in the evening."
    asked = (("Where do I live?", town), ("What do I like to eat?", food))
    return {
        "context": context,
        "qas": [
            {
                "id": f"{name}-{number}",
                "question": question,
                "answers": [{"text": answer, "answer_start": context.index(answer)}],
            }
            for number, (question, answer) in enumerate(asked)
        ],
    }
