"""What launcher and worker have agreed on: names of variables, exit codes, the stop file.

MindSpore sends SIGTERM to its own process when its cluster breaks, so that under a launcher the
number of a signal does not tell a request to stop from a broken cluster. The launcher announces
its requests by a file; a SIGTERM without it means that the cluster has broken.
"""

import os
from pathlib import Path

STOP_FILE_VARIABLE = "MINDMLM_STOP_FILE"
HEARTBEAT_VARIABLE = "MINDMLM_HEARTBEAT_FILE"

# sysexits.h: EX_UNAVAILABLE, a service this process needs has gone.
BROKEN_CLUSTER_EXIT_CODE = 69
# A rank that stopped because it was asked to, after saving: 128 + SIGINT or SIGTERM.
STOPPED_EXIT_CODES = frozenset({130, 143})
# What `MindmlmError` gives for a mistake of the user's; it would only come again after a restart.
USER_ERROR_EXIT_CODE = 2
# As timeout(1): the job made no progress any more.
HANG_EXIT_CODE = 124


def stop_file() -> Path | None:
    """The file by which the launcher of this process announces a stop; None without a launcher."""
    name = os.environ.get(STOP_FILE_VARIABLE)
    return Path(name) if name else None
