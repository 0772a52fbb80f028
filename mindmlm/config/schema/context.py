"""Section `context`: where and how MindSpore runs."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from mindmlm.config.schema.base import Section
from mindmlm.config.schema.memory import MemoryText
from mindmlm.config.schema.types import Count, Spellings

_GPU_REASON = (
    "mindmlm runs on CPU and Ascend; MindSpore's GPU back-end was dropped. Use auto, CPU or Ascend"
)
_MODES = Spellings(accepted={"GRAPH_MODE": 0, "graph": 0, "PYNATIVE_MODE": 1, "pynative": 1})
_DEVICES = Spellings(
    accepted={"AUTO": "auto", "Auto": "auto", "cpu": "CPU", "ascend": "Ascend", "ASCEND": "Ascend"},
    refused={"GPU": _GPU_REASON, "gpu": _GPU_REASON, "cuda": _GPU_REASON},
)


class ContextConfig(Section):
    """Device and execution mode."""

    mode: Annotated[Literal[0, 1], BeforeValidator(_MODES)] = Field(
        default=0,
        description="How MindSpore executes: 0 compiles the whole step to a graph (fast), "
        "1 is PyNative (every operator at once; slow, good for looking for an error).",
    )
    device_target: Annotated[Literal["auto", "CPU", "Ascend"], BeforeValidator(_DEVICES)] = Field(
        default="auto",
        description="The device. `auto` takes an Ascend card if one answers, else the CPU, and "
        "prints which one it took.",
    )
    device_id: Count = Field(default=0, description="Number of the card on this machine, from 0.")
    max_device_memory: MemoryText | None = Field(
        default=None,
        description='Most memory that MindSpore takes of a card, such as "31GB" (1 GB = 2**30 '
        "bytes). null = all that is free. Without effect on a CPU (the log says so).",
    )
    enable_compile_cache: bool = Field(
        default=False,
        description="Keep compiled graphs in `~/.cache/mindmlm/graphs` and take them again where "
        "all that they are made from is the same: the second start of a run is faster. In one "
        "process on a CPU, in mode 0; elsewhere it has no effect, and the log says so.",
    )
