"""What an installed package has that a clone has beside it."""

import shutil
import subprocess
import sys
import zipfile

import pytest

PARTS = ("mindmlm", "configs", "setup.py", "MANIFEST.in", "pyproject.toml", "README.md", "LICENSE")


@pytest.mark.slow
def test_a_wheel_has_the_shipped_configurations(project_root, tmp_path):
    source, wheels, installed = (tmp_path / name for name in ("source", "wheels", "installed"))
    source.mkdir()
    for name in PARTS:
        copy = shutil.copytree if (project_root / name).is_dir() else shutil.copy
        copy(project_root / name, source / name)
    words = ["-m", "pip", "wheel", str(source), "--no-build-isolation", "--no-deps", "-w", wheels]
    subprocess.run([sys.executable, *words], check=True, capture_output=True, timeout=300)
    with zipfile.ZipFile(next(wheels.iterdir())) as wheel:
        wheel.extractall(installed)
    program = (
        "import mindmlm.config.named_runs as runs; from mindmlm import Trainer; "
        "print(runs.named_run('gpt2')); print(Trainer(model='gpt2').config.model.arch.type)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=installed,
        capture_output=True,
        encoding="utf-8",
        check=True,
        timeout=100,
    )
    found, architecture = done.stdout.split()
    assert found == str(installed / "mindmlm" / "configs" / "gpt2" / "run_gpt2.yaml")
    assert architecture == "GPT2LMHeadModel"
    names = {path.relative_to(project_root) for path in (project_root / "configs").rglob("*.yaml")}
    assert {path.relative_to(installed / "mindmlm") for path in installed.rglob("*.yaml")} == names
