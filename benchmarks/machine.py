"""What a result was measured on."""

import os
import platform
from importlib import metadata
from pathlib import Path

PACKAGES = ("mindspore", "numpy", "tokenizers", "torch", "transformers")


def describe_machine() -> dict[str, object]:
    """Processor, cores, memory in GB, Python and the versions that matter."""
    versions = {name: metadata.version(name) for name in PACKAGES if _installed(name)}
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "packages": versions,
    }


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()
