"""Fixtures that every test may use."""

from pathlib import Path

import pytest

PROJECT_ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def project_root() -> Path:
    return PROJECT_ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real texts and vocabularies that lie beside the project on some machines; never shipped."""
    folder = PROJECT_ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder of real data beside the project is not on this machine")
    return folder


@pytest.fixture(scope="session")
def graph_mode() -> None:
    """MindSpore on the CPU in graph mode, as a run sets it up."""
    from mindmlm.runtime.context import initialise

    initialise("CPU", device_id=0, mode=0)
