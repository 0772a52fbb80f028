"""Collectives and divided Cells on three real ranks, over all of them and over pairs."""

import json
from pathlib import Path

import pytest

from mindmlm.testing.run_ranks import run_ranks

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parent / "programs" / "collectives.py"
CHECKS = [
    *("sum", "gather", "sum_and_scatter", "maximum", "gradients_of_parts", "buckets", "channel"),
    *("host_gather_is_exact", "texts", "agreement", "lookup", "cross_entropy", "most_likely"),
]


@pytest.fixture(scope="module")
def results():
    outputs = run_ranks(PROGRAM, 3, timeout=400)
    return [json.loads(output.splitlines()[-1]) for output in outputs]


@pytest.mark.parametrize("check", CHECKS)
def test_on_three_ranks(results, check):
    for rank, found in enumerate(results):
        assert not found[check], f"rank {rank}: {found[check]}"


def test_every_check_is_looked_at(results):
    assert [set(found) for found in results] == [set(CHECKS)] * 3
