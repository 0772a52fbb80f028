"""Trains a few steps in one process; prints losses and the most memory used, in bytes, as JSON.

Argument: a JSON file with ``config``, ``flags``, ``cache``, ``steps`` and ``options``.
"""

import json
import sys
from pathlib import Path

from mindmlm.config import load_config
from mindmlm.runtime.context import initialise
from mindmlm.testing.small_run import SmallRun, losses

job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
config = load_config(job["config"], job["options"], flags=job["flags"]).config
initialise("CPU", device_id=0, mode=0)
run = SmallRun.create(config, Path(job["cache"]))
seen = losses(run.train(job["steps"]))
# Not `ru_maxrss`, which begins with the size of the process that started this one.
status = Path("/proc/self/status").read_text()
peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024
print(json.dumps({"losses": seen, "peak": peak}))
