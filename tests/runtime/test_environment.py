"""What is set before MindSpore is imported."""

import subprocess
import sys

import pytest

from mindmlm.runtime import environment

OURS = {
    "GLOG_v": "3",
    "OMP_WAIT_POLICY": "active",
    "GOMP_SPINCOUNT": "300000",
    "KMP_BLOCKTIME": "200",
}
# Its last line says what is set when MindSpore is first imported, or at the end.
PROGRAM = """
import os, sys

def say():
    print([os.environ.get(key) for key in %r], flush=True)
    os._exit(0)

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "mindspore":
            say()

sys.meta_path.insert(0, Watch())
from mindmlm.cli import %s as command
try:
    command.main(%r)
except SystemExit:
    say()
"""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, OURS),
        ({"OMP_WAIT_POLICY": "passive"}, {"GLOG_v": "3", "OMP_WAIT_POLICY": "passive"}),
        ({"GLOG_v": "1", "KMP_BLOCKTIME": "7"}, {"GLOG_v": "1", "KMP_BLOCKTIME": "7"}),
    ],
)
def test_what_the_user_has_set_stays(monkeypatch, given, expected):
    monkeypatch.setattr(environment.os, "environ", dict(given))
    environment.prepare_environment()
    assert environment.os.environ == expected


@pytest.mark.parametrize("command", ["run", "main", "convert_checkpoint", "build_dataset"])
def test_commands_set_it_before_they_import_mindspore(project_root, tmp_path, monkeypatch, command):
    for key in OURS:
        monkeypatch.delenv(key, raising=False)
    arguments = ["--help"]
    if command == "run":
        text, vocab = tmp_path / "text.txt", tmp_path / "vocab.txt"
        text.write_text("今天天气很好。\n" * 50)
        vocab.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"今天气很好。"]))
        config = project_root / "configs" / "bert" / "run_bert_tiny_zh.yaml"
        flags = {"config": config, "dataset_dir": text, "vocab_file": vocab, "output_dir": tmp_path}
        arguments = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    program = PROGRAM % (list(OURS), command, arguments)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.splitlines()[-1] == str(list(OURS.values())), done.stderr
