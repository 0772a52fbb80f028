"""Counter-based random bits: a value depends on its coordinates only, never on a call before it."""

import math

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)
_SHIFT_30, _SHIFT_27, _SHIFT_31, _SHIFT_32 = (np.uint64(n) for n in (30, 27, 31, 32))
_WORD = (1 << 64) - 1


def mix64(values: np.ndarray) -> np.ndarray:
    """Return the finaliser of SplitMix64 (Steele, Lea and Flood, 2014) of every uint64 value.

    It is a bijection on 64 bits: different values never collide.
    """
    values = values ^ (values >> _SHIFT_30)
    # In place from here on: temporary arrays cost more than the arithmetic.
    values *= _MULTIPLIER_1
    values ^= values >> _SHIFT_27
    values *= _MULTIPLIER_2
    values ^= values >> _SHIFT_31
    return values


def derive_keys(seed: int, *coordinates: np.ndarray) -> np.ndarray:
    """Return one uint64 key for every row of integer ``coordinates`` (arrays of one shape).

    The order of the coordinates matters; negative ones count modulo 2**64.
    """
    keys = mix64(np.array([seed & _WORD], np.uint64) + _GOLDEN)
    for coordinate in coordinates:
        keys = mix64((keys ^ np.asarray(coordinate).astype(np.uint64)) + _GOLDEN)
    return keys


def random_bits(keys: np.ndarray, stream: int, positions: np.ndarray) -> np.ndarray:
    """Return uint64 bits: the SplitMix64 sequence that starts at ``keys``, read at a counter.

    The counter is ``stream * 2**32 + position``; ``keys`` and ``positions`` broadcast.
    """
    counters = positions.astype(np.uint64) + np.uint64((stream << 32) + 1)
    return mix64(keys + counters * _GOLDEN)


def to_unit_interval(bits: np.ndarray) -> np.ndarray:
    """Return float64 in [0, 1) with 53 random bits."""
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def threshold(probability: float) -> np.uint64:
    """Return the smallest bits that `to_unit_interval` makes ``probability`` (below 1) or more."""
    return np.uint64(math.ceil(probability * 2.0**53) << 11)


def to_range(bits: np.ndarray, size: int) -> np.ndarray:
    """Return int64 in [0, ``size``), ``size`` below 2**32 (Lemire's multiply and shift)."""
    return (((bits >> _SHIFT_32) * np.uint64(size)) >> _SHIFT_32).astype(np.int64)
