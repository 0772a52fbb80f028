"""The bytes that a planner promises are those of real ranks."""

import json
from pathlib import Path

import pytest

from mindmlm.config import load_config
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.planning.memory import rank_bytes
from mindmlm.testing.layouts import LAYOUTS
from mindmlm.testing.run_ranks import run_ranks

from .test_bytes import LIVE

PROGRAM = Path(__file__).parent / "programs" / "live_bytes.py"
VOCAB = 71
KINDS = {"bert": "bert/run_bert_tiny_zh.yaml", "gpt2": "gpt2/run_gpt2_tiny.yaml"}
# Number of ranks -> (data, model, stages, ZeRO-1, vocabulary cut)
STARTS = {
    2: [(2, 1, 1, True, False), (1, 2, 1, False, True), (1, 1, 2, False, False)],
    8: [
        (8, 1, 1, True, False),
        (2, 2, 2, True, True),
        (4, 2, 1, True, False),
        (2, 1, 4, True, False),
        (1, 4, 2, False, True),
    ],
}


def small(project_root, name):
    path = project_root / "configs" / "bert" / "run_bert_tiny_zh.yaml"
    options = [*LAYOUTS[name], f"processor.tokenizer.train_vocab_size={VOCAB}"]
    return load_config(path, options, require_inputs=False).config


@pytest.mark.parametrize("name", LIVE)
def test_parameters_and_optimizer_are_those_of_trained_ranks(project_root, name):
    """`LIVE` is what the ranks of test_bytes.py hold after 20 steps."""
    config = small(project_root, name)
    layout = ParallelLayout(*config.degrees)
    rows = [(layout.coordinates(rank).stage, *row) for rank, row in enumerate(LIVE[name])]
    for planned in rank_bytes(config, VOCAB, layout):
        ranks = [row[1:] for row in rows if row[0] == planned.stage]
        assert planned.gradients == max(weights for weights, _, _ in ranks)
        assert planned.parameters == max(weights + parts for weights, _, parts in ranks)
        assert planned.optimizer == max(moments for _, moments, _ in ranks)


def options_of(kind, data, model, stages, zero, cut):
    shared = {
        "model.model_config.num_hidden_layers": 5,
        "model.model_config.hidden_size": 48,
        "model.model_config.num_attention_heads": 4,
        "model.model_config.vocab_size": VOCAB,
        "context.device_target": "CPU",
        "use_parallel": True,
        "parallel.parallel_mode": 3,
        "parallel_config.data_parallel": data,
        "parallel_config.model_parallel": model,
        "parallel_config.pipeline_stage": stages,
        "parallel_config.optimizer_shard": zero,
        "parallel_config.vocab_emb_dp": not cut,
    }
    if kind == "gpt2":
        shared["processor.tokenizer.train_vocab_size"] = 257
        shared["model.model_config.vocab_size"] = 257
    else:
        shared["processor.tokenizer.train_vocab_size"] = VOCAB
    return [f"{key}={value}" for key, value in shared.items()]


@pytest.mark.slow
@pytest.mark.parametrize("ranks", STARTS)
def test_bytes_of_processes_that_run_now(project_root, tmp_path, ranks):
    jobs = [
        {"config": str(project_root / "configs" / KINDS[kind]), "options": options_of(kind, *cut)}
        for kind in KINDS
        for cut in STARTS[ranks]
    ]
    (tmp_path / "job.json").write_text(json.dumps(jobs))
    printed = run_ranks(PROGRAM, ranks, [tmp_path / "job.json"], timeout=580)
    lines = [text.split("BYTES ")[1].splitlines()[0] for text in printed]
    live = list(zip(*map(json.loads, lines), strict=True))
    for job, of_ranks in zip(jobs, live, strict=True):
        path = job["config"]
        config = load_config(path, job["options"], require_inputs=False).config
        vocab = config.model.settings.vocab_size
        for planned in rank_bytes(config, vocab, ParallelLayout(*config.degrees)):
            here = [one for one in of_ranks if one["stage"] == planned.stage]
            assert planned.gradients == max(one["weights"] for one in here)
            assert planned.parameters == max(one["weights"] + one["parts"] for one in here)
            assert planned.optimizer == max(one["moments"] for one in here)
