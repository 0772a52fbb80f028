"""What is set before MindSpore is imported."""

import subprocess
import sys

import pytest

from mindmlm.runtime import environment

OURS = {
    "GLOG_v": "3",
    "OMP_WAIT_POLICY": "active",
    "GOMP_SPINCOUNT": "1000",
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
try:
    %s
except (Exception, SystemExit):
    say()
"""
CALLS = {
    "run_mindformer": "from mindmlm.cli import run; run.main({flags})",
    "mindmlm": "from mindmlm.cli import main; main.main(['--help'])",
    "convert_checkpoint": "from mindmlm.cli import convert_checkpoint as c; c.main(['--help'])",
    "build_dataset": "from mindmlm.cli import build_dataset as b; b.main(['--help'])",
    "Trainer": "import mindmlm; mindmlm.Trainer(model='bert_tiny_zh').build_network()",
    "pipeline": "import mindmlm; mindmlm.pipeline('fill_mask', 'no model')",
}


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


@pytest.mark.parametrize("name", CALLS)
def test_it_is_set_before_mindspore_is_imported(project_root, tmp_path, monkeypatch, name):
    for key in OURS:
        monkeypatch.delenv(key, raising=False)
    text, vocab = tmp_path / "text.txt", tmp_path / "vocab.txt"
    text.write_text("今天天气很好。\n" * 50)
    vocab.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"今天气很好。"]))
    config = project_root / "configs" / "bert" / "run_bert_tiny_zh.yaml"
    values = {"config": config, "dataset_dir": text, "vocab_file": vocab, "output_dir": tmp_path}
    flags = [word for flag, value in values.items() for word in (f"--{flag}", str(value))]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM % (list(OURS), CALLS[name].format(flags=flags))],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.splitlines()[-1:] == [str(list(OURS.values()))], done.stderr
