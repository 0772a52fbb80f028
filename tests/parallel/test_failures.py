"""What happens to one of two ranks, and what both make of it."""

import json
from pathlib import Path

import pytest

from mindmlm.checkpoint import read_checkpoint
from mindmlm.testing.command import SMALL_OPTIONS
from mindmlm.testing.run_ranks import run_ranks

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parent / "programs" / "failures.py"
SMALL = (
    *SMALL_OPTIONS,
    "use_parallel=True",
    "model.model_config.num_hidden_layers=2",
    "model.model_config.num_attention_heads=2",
    "runner_config.max_steps=50",
    "lr_schedule.warmup_ratio=0",
)
DATA = "parallel_config.data_parallel=2"
LAYOUTS = {
    "dp2": [*SMALL, DATA],
    "dp2_zero": [*SMALL, DATA, "parallel_config.optimizer_shard=True"],
    "tp2": [*SMALL, "parallel_config.model_parallel=2"],
    "pp2": [*SMALL, "parallel_config.pipeline_stage=2", "parallel_config.micro_batch_num=2"],
}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("failures")


@pytest.fixture(scope="module")
def seen(project_root, out, text_and_vocabulary):
    """What each of the two ranks saw."""
    job = out / "job.json"
    given = {
        "config": str(project_root / "configs" / "bert" / "run_bert_tiny_zh.yaml"),
        "flags": text_and_vocabulary,
        "cache": str(out / "cache"),
        "out": str(out),
        "layouts": LAYOUTS,
    }
    job.write_text(json.dumps(given))
    outputs = run_ranks(PROGRAM, 2, [job], timeout=900)
    return [json.loads(output.splitlines()[-1]) for output in outputs]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_nan_on_one_rank_is_skipped_by_all(seen, layout):
    expected = {
        "overflow": True,
        "norm_is_finite": False,
        "scale": 1.0,
        "overflow_count": 1,
        "step": 2,
        "unchanged": True,
        "goes_on": True,
        "finite": True,
    }
    assert [rank["nan"][layout] for rank in seen] == [expected] * 2


def test_a_float16_overflow_on_one_rank_halves_the_scale_of_all(seen):
    expected = {
        "overflow": True,
        "norm_is_finite": False,
        "scale": 512.0,
        "overflow_count": 1,
        "step": 2,
        "unchanged": True,
        "goes_on": True,
        "finite": True,
    }
    assert [rank["float16"] for rank in seen] == [expected] * 2


@pytest.mark.parametrize(
    ("what", "key"), [("seed", "seed is 7 here"), ("layout", "model_parallel is 2 here")]
)
def test_ranks_with_other_configurations_say_what_differs(seen, what, key):
    first, second = (rank["other_configs"][what] for rank in seen)
    assert second.startswith("RanksDifferError: rank 1 has another configuration than rank 0: ")
    assert key in second
    assert "Start all ranks with the same files and flags" in second
    assert first.startswith("MindmlmError: stopped with rank 1")
    assert key in first


def test_ranks_may_have_cards_of_their_own(seen):
    assert [rank["other_configs"]["device"] for rank in seen] == ["", ""]


def test_weights_that_differ_in_a_bit_are_named(seen):
    for rank in seen:
        found = rank["other_weights"]
        assert found["same"] == ""
        assert found["weight"].startswith("RanksDifferError: rank 1 and rank 0 should start from")
        assert found["name"] in found["weight"]
        assert "seed is 2 and 1" in found["state"]


def test_a_full_disk_on_one_rank_fails_for_all_and_keeps_what_was_saved(seen, out):
    root = out / "full" / "checkpoint"
    for rank in seen:
        found = rank["full_disk"]
        assert found["full"].startswith("CheckpointError: the checkpoint of step 2 could not be ")
        assert "rank 1: [Errno 27] File too large" in found["full"]
        assert found["left"] == ["latest", "step_00000001"]
        assert found["room"] == ""
    assert [read_checkpoint(root / f"step_0000000{step}").step for step in (1, 3)] == [1, 3]


def test_a_damaged_shard_is_passed_over_by_all_and_refused_by_name(seen):
    for rank in seen:
        assert rank["damage"]["taken"] == 1
        assert "optimizer.rank_00001.safetensors is damaged" in rank["damage"]["refused"]
    assert seen[0]["damage"]["refused"].startswith("CheckpointError: ")
