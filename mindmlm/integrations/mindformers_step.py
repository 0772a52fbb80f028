"""A training step of MindFormers that runs on a CPU too."""

from typing import Any

from mindformers.wrapper.wrapper import MFTrainOneStepCell
from mindspore import get_context


class HostTrainOneStepCell(MFTrainOneStepCell):
    """`MFTrainOneStepCell`, which looks for overflow by an operator that only Ascend has.

    On a CPU it takes the other way that MindSpore has, and tests every gradient by itself.
    """

    def __init__(self, network: Any, optimizer: Any, **keys: Any) -> None:
        super().__init__(network, optimizer, **keys)
        if get_context("device_target") == "CPU":
            self.ascend_910b_target = True
            self.enable_allfinite = False


WRAPPERS = {"HostTrainOneStepCell": HostTrainOneStepCell}
