"""A rank without MindSpore: ranks meet after every step, through files, and save when asked to.

What it does beside that stands in the environment: PLAIN_STEPS, PLAIN_SECONDS of a step,
PLAIN_FAULT ("rank:step:what", commas between several) and PLAIN_CHILD (start a process that never
ends).
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from mindmlm.runtime.launch.heartbeat import Heartbeat, answer_stack_requests
from mindmlm.training.interrupt import StopRequest

RANK, SIZE = int(os.environ["RANK_ID"]), int(os.environ["RANK_SIZE"])
MEETING = Path(os.environ["PLAIN_MEETING"])
SHOWN = ("RANK_ID", "RANK_SIZE", "DEVICE_ID", "RANK_TABLE_FILE", "MS_ROLE", "MINDMLM_STOP_FILE")


def meet(step: int, wants_stop: bool) -> bool:
    """Wait for all ranks; whether any of them wants to stop."""
    (MEETING / f"{step}_{RANK}.tmp").write_text(str(int(wants_stop)))
    (MEETING / f"{step}_{RANK}.tmp").rename(MEETING / f"{step}_{RANK}")
    others = [MEETING / f"{step}_{rank}" for rank in range(SIZE)]
    while not all(path.exists() for path in others):
        time.sleep(0.002)
    return any(path.read_text() == "1" for path in others)


def fault(step: int) -> None:
    for one in os.environ.get("PLAIN_FAULT", "").split(","):
        rank, at, what = one.split(":") if one else ("-1", "0", "")
        if (int(rank), int(at)) == (RANK, step):
            break_down(what, step)


def break_down(what: str, step: int) -> None:
    if what == "raise":
        raise ValueError(f"rank {RANK} breaks on purpose at step {step}")
    if what == "sleep":
        time.sleep(600)
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(int(what))


def train(stop: StopRequest, heartbeat: Heartbeat) -> None:
    stop.graceful = True
    first = 1 + max((int(p.name) for p in Path(sys.argv[1]).glob("*")), default=0)
    resumed = "--load_checkpoint" in sys.argv
    for step in range(first if resumed else 1, int(os.environ.get("PLAIN_STEPS", "5")) + 1):
        heartbeat.beat(f"step {step}, data")
        fault(step if not resumed else -step)
        time.sleep(float(os.environ.get("PLAIN_SECONDS", "0.02")))
        heartbeat.beat(f"step {step}, together")
        stopping = meet(step, stop.signal is not None)
        if RANK == 0:
            print(f"step {step}", file=sys.stderr, flush=True)
            (Path(sys.argv[1]) / str(step)).touch()
        if stopping:
            stop.signal = stop.signal or signal.SIGTERM
            return


answer_stack_requests()
environment = {name: os.environ.get(name) for name in SHOWN}
print(json.dumps({"argv": sys.argv[2:], **environment}), flush=True)
if "PLAIN_CHILD" in os.environ:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with StopRequest() as request:
    beats = Heartbeat.from_environment()
    assert beats is not None
    train(request, beats)
    # As in a real run: the signal may still arrive when the other ranks have already asked to stop.
    Path(sys.argv[1]).with_name(f"saved_{RANK}").touch()
sys.exit(request.exit_code)
