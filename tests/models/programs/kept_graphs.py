"""Calls small graphs, kept in MINDMLM_GRAPHS_DIR: `FACTORS` separated by commas, in this order.

Prints the results as JSON.
"""

import json
import logging
import sys

import numpy as np

from mindmlm.runtime.context import initialise

initialise("CPU", device_id=0, mode=0)
import mindspore as ms  # noqa: E402
from mindspore import Parameter  # noqa: E402

from mindmlm.models import graph_cache  # noqa: E402
from mindmlm.models.graph import Graph  # noqa: E402


class Line(Graph):
    """factor * x + weight"""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.weight = Parameter(np.full(3, 5.0, np.float32), name="weight")

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return x * self.factor + self.weight


logging.basicConfig(level=logging.INFO)
reason = graph_cache.keep_graphs()
if reason is not None:
    sys.exit(reason)
lines = [Line(float(factor)) for factor in sys.argv[1].split(",")]
x = ms.Tensor(np.ones(3, np.float32))
print(json.dumps([float(line(x).asnumpy()[0]) for line in lines]))
