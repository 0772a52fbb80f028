"""One process that trains three steps; prints its losses, a hash of its weights and its peak memory.

Argument: a JSON file with ``config``, ``flags``, ``cache`` and ``options``.
"""

import hashlib
import json
import resource
import sys
from pathlib import Path

from mindmlm.config import load_config
from mindmlm.runtime.context import initialise
from mindmlm.testing.small_run import SmallRun, losses

given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
config = load_config(given["config"], given["options"], flags=given["flags"]).config
initialise("CPU", device_id=0, mode=0)
run = SmallRun.create(config, Path(given["cache"]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = losses(run.train(3))
digest = hashlib.sha256(b"".join(value.tobytes() for value in run.weights().values()))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"losses": found, "weights": digest.hexdigest(), "before": before, "peak": peak}))
