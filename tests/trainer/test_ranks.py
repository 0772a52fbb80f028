"""`Trainer` in two processes: the session is opened again and again, and the numbers are one's."""

import json
from pathlib import Path

import pytest

from mindmlm.testing.run_ranks import run_ranks

PROGRAM = Path(__file__).with_name("train_on_ranks.py")


@pytest.mark.slow
def test_two_processes_have_the_numbers_of_one(files, small, tmp_path):
    results = []
    shape = small(tmp_path)
    del shape["output_dir"], shape["runner_config"]
    for size in (1, 2):
        args = [tmp_path / str(size), files.text, files.vocabulary, json.dumps(shape)]
        outputs = [json.loads(text) for text in run_ranks(PROGRAM, size, args, timeout=500)]
        assert all(output == outputs[0] for output in outputs)
        results.append(outputs[0])
    one, two = results
    assert one[0] == two[0] == one[3] == two[3] == 2
    assert two[1] == pytest.approx(one[1], rel=1e-5)
    assert two[2]["eval_loss"] == pytest.approx(one[2]["eval_loss"], rel=1e-5)
    manifest = json.loads((tmp_path / "2" / "checkpoint/step_00000002/manifest.json").read_text())
    assert manifest["layout"]["data_parallel"] == 2
