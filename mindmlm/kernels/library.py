"""Compiles the sources once for each machine, compiler and version, and keeps the library.

Nothing is downloaded or shipped in binary form: a library is the user's own, in a folder that only
the user can write, and its name is a hash of all that it was made from.
"""

import fcntl
import hashlib
import logging
import os
import platform
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

logger = logging.getLogger(__name__)

SWITCH = "MINDMLM_KERNELS"
FOLDER_VARIABLE = "MINDMLM_KERNELS_DIR"
_SOURCES = Path(__file__).parent / "source"
_COMPILERS = ("g++", "clang++", "c++")
_FLAGS = (
    "-std=c++17",
    "-O3",
    "-fopenmp",
    "-fPIC",
    "-shared",
    # Neither changes a result: errno and traps are of no use here, and keep loops from vectorising.
    "-fno-math-errno",
    "-fno-trapping-math",
)
_SECONDS = 300


@cache
def library() -> Path | None:
    """The compiled library, made now if it is not there; None with the reason in the log.

    ``MINDMLM_KERNELS=0`` turns it off. ``MINDMLM_KERNELS_DIR`` is where it is kept, by default
    ``~/.cache/mindmlm/kernels``.
    """
    if os.environ.get(SWITCH, "1").strip().lower() in ("0", "off", "false", "no"):
        logger.info("fused kernels are turned off by %s", SWITCH)
        return None
    try:
        return _library()
    except (OSError, subprocess.SubprocessError, RuntimeError) as error:
        logger.warning("fused kernels are not used, training is slower: %s", error)
        return None


def _library() -> Path:
    compiler = _compiler()
    folder = own_folder(FOLDER_VARIABLE, "kernels")
    target = folder / f"kernels-{_fingerprint(compiler)}.so"
    if not target.exists():
        with _alone(folder / "lock"):
            if not target.exists():
                _compile(compiler, target)
    return target


def _compiler() -> str:
    for name in (os.environ.get("CXX", ""), *_COMPILERS):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise RuntimeError(f"no C++ compiler was found ({', '.join(_COMPILERS)}, or $CXX)")


def own_folder(variable: str, name: str) -> Path:
    """A folder that nobody else may write: `variable`'s, or ``~/.cache/mindmlm/`` and `name`.

    Raises:
        RuntimeError: others can write it.
        OSError: it cannot be made.
    """
    folder = Path(os.environ.get(variable) or Path.home() / ".cache" / "mindmlm" / name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = folder.stat()
    if state.st_uid != os.getuid() or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise RuntimeError(f"{folder} belongs to, or can be written by, somebody else")
    return folder


def _fingerprint(compiler: str) -> str:
    """Hash of the sources, the compiler, its flags and the processor."""
    version = subprocess.run(
        [compiler, "--version"], capture_output=True, check=True, timeout=_SECONDS
    ).stdout
    digest = hashlib.sha256(version + " ".join(_all_flags()).encode() + _processor().encode())
    for path in sorted(_SOURCES.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _processor() -> str:
    """What decides which instructions the library may hold."""
    wanted = ("model name", "flags", "Features", "CPU implementer", "CPU part")
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)}))


def _all_flags() -> tuple[str, ...]:
    native = "-march=native" if platform.machine() in ("x86_64", "AMD64") else "-mcpu=native"
    return (*_FLAGS, native)


def _compile(compiler: str, target: Path) -> None:
    logger.info("compiling the fused kernels with %s, once", compiler)
    sources = [str(path) for path in sorted(_SOURCES.glob("*.cc"))]
    handle, name = tempfile.mkstemp(suffix=".so", dir=target.parent)
    os.close(handle)
    try:
        done = subprocess.run(
            [compiler, *_all_flags(), *sources, "-o", name],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            last = "\n".join(done.stderr.strip().splitlines()[-5:])
            raise RuntimeError(f"{compiler} could not compile them:\n{last}")
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process of this machine compile; the others find what it has made."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
