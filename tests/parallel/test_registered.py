"""Optimizers of MindFormers on several ranks: data parallel, ZeRO-1, tensor parallel, pipeline."""

import numpy as np
import pytest

from .closeness import far
from .conftest import Proof, Start

pytestmark = pytest.mark.slow
pytest.importorskip("mindformers")
MORE = (
    "optimizer.type=RMSProp",
    "optimizer.weight_decay=0.01",
    "lr_schedule.type=CosineWithWarmUpLR",
    "lr_schedule.learning_rate=1e-3",
    "lr_schedule.warmup_steps=3",
)
STARTS = (
    Start(1, ["one"]),
    Start(2, ["dp2_zero", "tp2", "pp2"], [("one", "dp2_zero"), ("dp2_zero", "tp2")]),
)


@pytest.fixture(scope="module")
def foreign(project_root, tmp_path_factory, text_and_vocabulary) -> Proof:
    config = project_root / "configs" / "bert" / "run_bert_tiny_zh.yaml"
    folder = tmp_path_factory.mktemp("foreign")
    return Proof(folder, config, text_and_vocabulary, STARTS, MORE)


@pytest.mark.parametrize("name", ["dp2_zero", "tp2", "pp2"])
def test_steps_are_those_of_one_process(foreign, name):
    one = foreign.notes("one")[0]
    for rank in foreign.notes(name):
        np.testing.assert_allclose(rank["losses"], one["losses"], rtol=2e-4)
    (moments,) = {sum(rank["bytes"]["moments"] for rank in foreign.notes("one"))}
    if name == "dp2_zero":
        assert max(rank["bytes"]["moments"] for rank in foreign.notes(name)) < 0.8 * moments


def test_state_moves_between_layouts(foreign):
    one = foreign.checkpoint("one")
    names = set(one.records("optimizer"))
    assert any(name.startswith("mean_square.") for name in names)
    for name in ("one > dp2_zero", "dp2_zero > tp2"):
        moved = foreign.checkpoint(name)
        origin = foreign.checkpoint(name.split(" > ")[0])
        assert set(moved.records("optimizer")) == names
        distance, _ = far(tensors(moved), tensors(origin))
        assert distance == 0


def tensors(checkpoint):
    bounds = {
        name: tuple(slice(0, size) for size in checkpoint.shape("optimizer", name))
        for name in checkpoint.records("optimizer")
        if name.startswith(("mean_square.", "moment."))
    }
    return {name: array for name, array in checkpoint.blocks("optimizer", bounds) if np.any(array)}
