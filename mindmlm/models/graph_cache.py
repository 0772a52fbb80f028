"""Keeps compiled graphs for later processes, by MindSpore's compile cache and a hash of our own.

MindSpore finds a graph again by the order in which a process compiles, and looks at the entry
script only to see whether it is still right: with another dropout rate, or after an evaluation that
came first, it takes a wrong graph without a word. So every process gives it an empty folder, and a
graph is put there, at the place where MindSpore will look next, only where all that it is made from
has the same hash (`fingerprint`).
"""

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mindspore.graph import api

from mindmlm.kernels.library import own_folder
from mindmlm.models.fingerprint import UnknownPartError

logger = logging.getLogger(__name__)

FOLDER_VARIABLE = "MINDMLM_GRAPHS_DIR"
_SWITCH, _PATH = "MS_COMPILER_CACHE_ENABLE", "MS_COMPILER_CACHE_PATH"
_MOST = 100
_in_use: list["_GraphCache"] = []


def keep_graphs() -> str | None:
    """From now on, keep and look for graphs in ``~/.cache/mindmlm/graphs``.

    ``MINDMLM_GRAPHS_DIR`` names another folder. The newest 100 graphs stay.

    Returns:
        Why not, where MindSpore's own cache is turned on or the folder cannot be used.
    """
    if _in_use:
        return None
    if _SWITCH in os.environ:
        return f"{_SWITCH} is set: MindSpore's own compile cache is used, which checks little"
    try:
        _in_use.append(_GraphCache(own_folder(FOLDER_VARIABLE, "graphs")))
    except (OSError, RuntimeError) as error:
        return f"compiled graphs are not kept: {error}"
    return None


@contextmanager
def kept(fingerprint: Callable[[], str]) -> Iterator[None]:
    """Within it one graph is compiled, or taken as it was compiled before.

    Args:
        fingerprint: makes the hash of all that it is made from; see `fingerprint.fingerprint`.
    """
    if not _in_use:
        yield
        return
    try:
        name = fingerprint()
    except UnknownPartError as reason:
        logger.info("a graph is compiled anew: it has %s", reason)
        yield
        return
    with _in_use[0].looking_for(name):
        yield


class _GraphCache:
    """The graphs of a folder, and the private folder that MindSpore sees."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        root = tempfile.mkdtemp(prefix="mindmlm-graphs-")
        atexit.register(shutil.rmtree, root, ignore_errors=True)
        # MindSpore reads it once, at its first look into the cache.
        os.environ[_PATH] = root
        self._seen = Path(root) / f"rank_{os.environ.get('RANK_ID', '0')}" / "graph_cache"
        self._seen.mkdir(parents=True)
        (self._seen / "compile_dependency.hash").touch()
        self._number = 0

    @contextmanager
    def looking_for(self, name: str) -> Iterator[None]:
        ours = self._folder / f"{name}.mindir"
        placed = 0
        place = self._seen / f"compile_cache_{self._number}.mindir"
        if ours.exists():
            shutil.copyfile(ours, place)
            placed = place.stat().st_mtime_ns
            os.utime(ours)
        script, api.entry_script_path = api.entry_script_path, None
        os.environ[_SWITCH] = "1"
        try:
            yield
        finally:
            del os.environ[_SWITCH]
            api.entry_script_path = script
        self._take(ours, placed)

    def _take(self, ours: Path, placed: int) -> None:
        """Keep what MindSpore has written since `placed` (also over a file that it could not read).

        The name of the file tells where it will look next time.
        """
        for path in self._seen.glob("compile_cache_*.mindir"):
            self._number = int(path.stem.rpartition("_")[2]) + 1
            if path.stat().st_mtime_ns != placed:
                self._keep(path, ours)
            path.unlink()

    def _keep(self, path: Path, ours: Path) -> None:
        handle, name = tempfile.mkstemp(suffix=".part", dir=self._folder)
        os.close(handle)
        try:
            shutil.copyfile(path, name)
            Path(name).replace(ours)
        finally:
            Path(name).unlink(missing_ok=True)
        graphs = sorted(self._folder.glob("*.mindir"), key=lambda one: one.stat().st_mtime)
        for old in graphs[:-_MOST]:
            old.unlink(missing_ok=True)
