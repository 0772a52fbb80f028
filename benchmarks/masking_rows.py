"""The same rows for both sides: random tokens, of which every third is a ## piece."""

import argparse
import os

import numpy as np

VOCAB_SIZE = 21128
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SAMPLES = 4096


def vocabulary() -> list[str]:
    """The tokens; the place is the id."""
    others = [f"##{n:x}" if n % 3 == 0 else f"w{n:x}" for n in range(VOCAB_SIZE - len(SPECIAL))]
    return [*SPECIAL, *others]


def samples(sequence: int) -> np.ndarray:
    """Full rows without [CLS] and [SEP], int32 [SAMPLES, sequence - 2]."""
    rng = np.random.default_rng(0)
    return rng.integers(len(SPECIAL), VOCAB_SIZE, (SAMPLES, sequence - 2)).astype(np.int32)


def parse_arguments() -> argparse.Namespace:
    """Parse the shape and stay on one core."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--strategy", required=True)
    parser.add_argument("--sequence", type=int, required=True)
    parser.add_argument("--batch_size", type=int, required=True)
    parser.add_argument("--batches", type=int, required=True)
    options = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    return options
