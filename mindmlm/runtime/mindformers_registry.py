"""The registry of MindFormers, imported when it is asked for, without the traces of its import.

`import mindformers` (1.9.0) takes seconds, opens log files under ./output/log of the current folder
and writes warnings to standard output. Here its logs go to a temporary folder that is removed at
the end of the process (unless LOG_MF_PATH names one), and what it prints to standard error.
"""

import atexit
import os
import shutil
import sys
import tempfile
from contextlib import redirect_stdout
from functools import cache
from typing import Any

from mindmlm.errors import ConfigError

LOG_FOLDER = "LOG_MF_PATH"


@cache
def mindformers_registry() -> Any:
    """Return `MindFormerRegister` with everything that MindFormers registers.

    Raises:
        ConfigError: the package is not installed, or cannot be imported.
    """
    if LOG_FOLDER not in os.environ:
        # It stays set: MindFormers asks for it again later.
        folder = tempfile.mkdtemp(prefix="mindformers_log_")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ[LOG_FOLDER] = folder
    try:
        with redirect_stdout(sys.stderr):
            import mindformers  # noqa: F401
            from mindformers.tools.register import MindFormerRegister
    except ImportError as error:
        raise ConfigError(
            f"MindFormers cannot be imported ({error}); install it with: "
            "pip install 'mindmlm[mindformers]'"
        ) from None
    return MindFormerRegister
