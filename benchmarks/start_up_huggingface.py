"""Worker: seconds from the command to the end of the first step of BERT-base by transformers.

The command is `start_up_script.py`: random tokens, nothing to read or to prepare.
"""

import subprocess
import sys
import time
from pathlib import Path

from benchmarks.worker import serve_values

SCRIPT = Path(__file__).with_name("start_up_script.py")


def seconds_to_first_step() -> float:
    """Run the script to the line it prints after its step."""
    start = time.perf_counter()
    command = [sys.executable, str(SCRIPT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - start
    if not line:
        raise RuntimeError(f"{SCRIPT.name} ended with exit code {process.returncode}")
    return seconds


if __name__ == "__main__":
    serve_values(seconds_to_first_step, warm_up=1)
