"""What processes of one machine do, for tests that start several: python -m ... ACTION WORDS."""

import os
import sys
import time
from pathlib import Path

from mindmlm.modelarts.download import Downloader
from mindmlm.modelarts.machine_lock import MachineLock
from mindmlm.modelarts.platform import Platform
from mindmlm.modelarts.remote import open_remote


def fetch(rank: str, url: str) -> None:
    """Download a folder and print where it is."""
    platform = Platform.from_environment(True, {**os.environ, "RANK_ID": rank})
    print(
        Downloader(platform, lambda text: print(text, file=sys.stderr)).fetch(
            open_remote(url), "dataset", lambda name: True
        )
    )


def hold(rank: str, path: str) -> None:
    """Take a lock for ever."""
    lock = MachineLock(Path(path), "downloading obs://bucket/data", int(rank))
    lock.take(5, print)
    lock.note("3 of 8 bytes")
    print("held", flush=True)
    time.sleep(600)


if __name__ == "__main__":
    {"fetch": fetch, "hold": hold}[sys.argv[1]](*sys.argv[2:])
