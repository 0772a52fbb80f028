"""Models that are divided over processes write what one process writes."""

import json
from pathlib import Path

import pytest

from mindmlm.testing.run_ranks import run_ranks

PROGRAM = Path(__file__).parent / "programs" / "divided.py"
pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("ranks", "cases"), [(2, 9), (4, 6)])
def test_divided_models_write_the_same(ranks, cases):
    found = json.loads(run_ranks(PROGRAM, ranks, timeout=600)[0].splitlines()[-1])
    assert len(found) == cases + 1
    assert [name for name, right in found.items() if not right] == []
