"""A rank with MindSpore: all ranks add up a number after every step, and stop together."""

import os
import sys
import time
from pathlib import Path

from mindmlm.runtime.launch.heartbeat import Heartbeat
from mindmlm.training.interrupt import StopRequest


def train(stop: StopRequest, heartbeat: Heartbeat, checkpoint: Path) -> None:
    import mindspore
    import numpy as np
    from mindspore import Tensor, nn, ops
    from mindspore.communication import get_group_size, get_rank, init

    mindspore.set_device("CPU")
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    init()
    rank, size = get_rank(), get_group_size()
    assert str(rank) == os.environ["RANK_ID"]
    assert str(size) == os.environ["RANK_SIZE"]

    class Sum(nn.Cell):
        def __init__(self) -> None:
            super().__init__()
            self.all_reduce = ops.AllReduce()

        def construct(self, x: Tensor) -> Tensor:
            return self.all_reduce(x)

    add_up = Sum()
    stop.graceful = True
    for step in range(1, int(os.environ["PLAIN_STEPS"]) + 1):
        heartbeat.beat(f"step {step}")
        mine = np.array([rank + 1, stop.signal is not None], np.float32)
        total, stopping = add_up(Tensor(mine)).asnumpy()
        assert total == size * (size + 1) / 2
        time.sleep(0.02)
        if rank == 0:
            (checkpoint / str(step)).touch()
        if stopping:
            stop.signal = stop.signal or 15
            checkpoint.with_name(f"saved_{rank}_at_{step}").touch()
            return


if __name__ == "__main__":
    with StopRequest() as request:
        beats = Heartbeat.from_environment()
        assert beats is not None
        train(request, beats, Path(sys.argv[1]))
    sys.exit(request.exit_code)
