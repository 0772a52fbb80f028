"""Which card a process uses."""

import pytest

from mindmlm.errors import ConfigError
from mindmlm.runtime.world import device_number


@pytest.mark.parametrize(
    ("environ", "use_parallel", "card"),
    [
        ({"DEVICE_ID": "5"}, True, 5),
        ({"DEVICE_ID": "5"}, False, 2),
        ({"DEVICE_ID": ""}, True, 2),
        ({}, True, 2),
    ],
)
def test_the_card_of_a_rank(environ: dict[str, str], use_parallel: bool, card: int) -> None:
    assert device_number(2, use_parallel, environ) == card


@pytest.mark.parametrize("text", ["-1", "one", "1.0"])
def test_a_card_that_is_none(text: str) -> None:
    with pytest.raises(ConfigError, match=f"DEVICE_ID={text}: the number of a card"):
        device_number(0, True, {"DEVICE_ID": text})
