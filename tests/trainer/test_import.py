"""`import mindmlm` loads nothing that takes time, and changes nothing."""

import sys

import pytest

import mindmlm
from mindmlm.testing.command import run_python

HEAVY = ("mindspore", "numpy", "pydantic", "tokenizers", "matplotlib", "yaml")


def test_importing_the_package_imports_nothing_heavy():
    program = f"import sys, mindmlm; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = run_python(["-c", program])
    assert (done.code, done.stdout.strip(), done.stderr) == (0, "[]", "")


def test_the_names_come_without_mindspore_and_without_side_effects(tmp_path):
    program = """
import os, signal, sys
def state():
    return dict(os.environ), os.getcwd(), signal.getsignal(signal.SIGINT), sorted(os.listdir())
before = state()
from mindmlm import Trainer, TrainingArguments, pipeline
trainer = Trainer(TrainingArguments(max_steps=5), task="fill_mask", model="bert_tiny_zh")
trainer.set_recompute_config(recompute=True)
assert trainer.config.recompute_config.recompute
assert "mindspore" not in sys.modules
assert before == state()
"""
    done = run_python(["-c", program])
    assert done.code == 0, done.stderr


def test_names_and_no_others():
    assert mindmlm.Trainer is sys.modules["mindmlm.trainer"].Trainer
    assert set(mindmlm.__all__) == {"Trainer", "TrainingArguments", "__version__", "pipeline"}
    with pytest.raises(AttributeError, match="no attribute 'Traner'"):
        _ = mindmlm.Traner
