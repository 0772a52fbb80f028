"""The library of kernels is made once, by its owner, and its absence is no error."""

import os
import shutil
from pathlib import Path

import pytest

from mindmlm.kernels import library

pytestmark = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("g++", "clang++", "c++")), reason="no compiler"
)
SOURCE = 'extern "C" int answer() { return 42; }\n'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder for libraries, and sources that compile quickly."""
    sources = tmp_path / "source"
    sources.mkdir()
    (sources / "answer.cc").write_text(SOURCE)
    monkeypatch.setattr(library, "_SOURCES", sources)
    monkeypatch.setenv(library.FOLDER_VARIABLE, str(tmp_path / "made"))
    monkeypatch.delenv(library.SWITCH, raising=False)
    library.library.cache_clear()
    yield tmp_path / "made"
    library.library.cache_clear()


def again() -> Path | None:
    library.library.cache_clear()
    return library.library()


def test_it_is_compiled_once_and_works(folder):
    import ctypes

    path = library.library()
    made = path.stat().st_mtime_ns
    assert again() == path
    assert path.stat().st_mtime_ns == made
    assert ctypes.CDLL(str(path)).answer() == 42
    assert {entry.suffix for entry in folder.iterdir()} <= {".so", ""}


def test_other_sources_are_another_library(folder):
    path = library.library()
    (library._SOURCES / "answer.cc").write_text(SOURCE.replace("42", "43"))
    other = again()
    assert other != path
    assert path.exists()
    assert other.exists()


@pytest.mark.parametrize("word", ["0", "off", "False"])
def test_it_can_be_turned_off(folder, monkeypatch, word):
    monkeypatch.setenv(library.SWITCH, word)
    assert library.library() is None
    assert not folder.exists()


def test_without_a_compiler_the_reason_is_logged(folder, monkeypatch, caplog):
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CXX", raising=False)
    assert library.library() is None
    assert "no C++ compiler was found" in caplog.text


def test_what_does_not_compile_leaves_nothing(folder, caplog):
    (library._SOURCES / "answer.cc").write_text("no C++\n")
    assert library.library() is None
    assert "could not compile them" in caplog.text
    assert [entry.name for entry in folder.iterdir()] == ["lock"]


def test_a_folder_that_others_can_write_is_not_used(folder, caplog):
    folder.mkdir()
    folder.chmod(0o777)
    assert library.library() is None
    assert "written by, somebody else" in caplog.text


def test_processes_that_start_together_make_it_once(folder, tmp_path):
    import subprocess
    import sys

    counting = tmp_path / "compiler"
    script = f'case "$*" in *.cc*) echo >>{tmp_path}/count;; esac'
    counting.write_text(f'#!/bin/sh\n{script}\nexec g++ "$@"\n')
    counting.chmod(0o755)
    program = (
        "from pathlib import Path; from mindmlm.kernels import library; "
        f"library._SOURCES = Path({str(library._SOURCES)!r}); print(library.library())"
    )
    environment = {**os.environ, "CXX": str(counting), "PYTHONPATH": os.pathsep.join(sys.path)}
    started = [
        subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE)
        for _ in range(3)
    ]
    paths = {process.communicate()[0] for process in started}
    assert len(paths) == 1
    assert len((tmp_path / "count").read_text().splitlines()) == 1
