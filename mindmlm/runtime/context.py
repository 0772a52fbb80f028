"""The only place that talks to MindSpore's global state: device, execution mode, memory.

`mindspore` is imported inside the functions, so that reading a configuration never pays for it.
"""

import ctypes
import logging
import sys
from dataclasses import dataclass, replace

from mindmlm.config.schema.memory import parse_memory
from mindmlm.errors import ConfigError
from mindmlm.runtime.environment import prepare_environment

logger = logging.getLogger(__name__)

_GLIBC_TRIM_THRESHOLD, _GLIBC_TOP_PAD, _GLIBC_MMAP_MAX = -1, -2, -4
_KEEP_FREE_BYTES = 2**31 - 1
_GROW_BYTES = 64 * 2**20
# The device of this process. MindSpore numbers it anew when processes meet, and then refuses to be
# told the same device again, which a second job in the same process would do.
_chosen: set[tuple[str, int]] = set()


@dataclass(frozen=True)
class Device:
    """What the run uses.

    Args:
        target: CPU or Ascend.
        reason: why, in words.
        notes: what of the settings has no effect on it.
    """

    target: str
    reason: str
    notes: tuple[str, ...] = ()

    def log(self) -> None:
        """Say what was chosen, once there is a log."""
        logger.info("device: %s (%s)", self.target, self.reason)
        for note in self.notes:
            logger.info("%s", note)


def initialise(
    device_target: str, device_id: int, mode: int, max_device_memory: str | None = None
) -> Device:
    """Set device, execution mode and the limit of its memory for this process.

    Args:
        device_target: auto (Ascend if a card answers, else CPU), CPU or Ascend.
        device_id: number of the card on this machine.
        mode: 0 graph, 1 PyNative.
        max_device_memory: most that MindSpore takes of a card, such as "31GB"; None = no limit.
            Without effect on a CPU.

    Raises:
        ConfigError: Ascend was asked for and no card answers.
    """
    prepare_environment()
    import mindspore

    device = choose_device(device_target)
    if (device.target, device_id) not in _chosen:
        if device.target == "CPU":
            mindspore.set_device("CPU")
            keep_freed_memory()
        else:
            mindspore.set_device("Ascend", device_id)
        _chosen.add((device.target, device_id))
    mindspore.set_context(mode=mode)
    if max_device_memory is None:
        return device
    if device.target == "CPU":
        note = f"context.max_device_memory: {max_device_memory} has no effect on a CPU"
        return replace(device, notes=(note,))
    mindspore.runtime.set_memory(max_size=in_gigabytes(max_device_memory))
    return device


def in_gigabytes(text: str) -> str:
    """Return an amount of memory in the only form that MindSpore takes: "31.0GB", "0.5GB"."""
    return f"{parse_memory(text) / 2**30:f}GB"


def choose_device(device_target: str) -> Device:
    """Return the device that `device_target` means on this machine; see `initialise`."""
    if device_target == "CPU":
        return Device("CPU", "asked for")
    answers = ascend_answers()
    if device_target == "Ascend":
        if not answers:
            raise ConfigError(
                "context.device_target: Ascend was asked for and no Ascend card answers on this "
                "machine (MindSpore cannot load its Ascend back-end); use auto or CPU, or install "
                "the driver and CANN"
            )
        return Device("Ascend", "asked for")
    if answers:
        return Device("Ascend", "auto: a card answers")
    return Device("CPU", "auto: no Ascend card answers")


def ascend_answers() -> bool:
    """Whether MindSpore can use an Ascend card in this process."""
    from mindspore import hal

    mindspore_logger = logging.getLogger("MindSpore")
    level = mindspore_logger.level
    mindspore_logger.setLevel(logging.CRITICAL)
    try:
        return bool(hal.is_available("Ascend"))
    finally:
        mindspore_logger.setLevel(level)


def keep_freed_memory() -> None:
    """Tell glibc to keep freed blocks for the next step instead of giving them back.

    A training step frees and takes the same hundreds of megabytes again; by default each of those
    blocks is unmapped and faulted in anew, a third of the time of an element-wise operator.
    """
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_GLIBC_MMAP_MAX, 0)
        libc.mallopt(_GLIBC_TRIM_THRESHOLD, _KEEP_FREE_BYTES)
        libc.mallopt(_GLIBC_TOP_PAD, _GROW_BYTES)
