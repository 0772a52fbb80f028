"""Prints this rank's number, its RANK_ID, the size of the world and a sum over ranks."""

import json
import os

import mindspore
import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.communication import get_group_size, get_rank, init


class AllReduce(nn.Cell):
    def __init__(self):
        super().__init__()
        self.all_reduce = ops.AllReduce()

    def construct(self, x):
        return self.all_reduce(x)


mindspore.set_device("CPU")
mindspore.set_context(mode=mindspore.GRAPH_MODE)
init()
own = np.array([1.5, 10.0], np.float32) * (get_rank() + 1)
total = AllReduce()(Tensor(own)).asnumpy().tolist()
print(json.dumps([get_rank(), int(os.environ["RANK_ID"]), get_group_size(), total]))
