"""What activations take, against the most memory that real steps used."""

import json

import pytest

from mindmlm.config import load_config
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.planning.memory import rank_bytes
from mindmlm.testing.command import SMALL_OPTIONS
from mindmlm.testing.corpus import write_corpus
from mindmlm.testing.run_ranks import run_ranks

MODEL = "model.model_config."
WIDE = (
    f"{MODEL}hidden_size=256",
    f"{MODEL}num_hidden_layers=4",
    f"{MODEL}num_attention_heads=4",
    f"{MODEL}max_position_embeddings=128",
    "train_dataset.max_seq_length=128",
    "train_dataset.sample_mode=packed",
    "context.device_target=CPU",
)
ROWS = (8, 24)


@pytest.fixture(scope="module")
def peak(project_root, tmp_path_factory):
    """A function (configuration, options) -> most bytes that a few steps in a process used."""
    from mindmlm.data.sources.files import FileSource
    from mindmlm.data.vocabulary import train_vocab_file

    folder = tmp_path_factory.mktemp("peak")
    text = write_corpus(folder / "text.txt", documents=3000)
    train_vocab_file(folder / "vocab.txt", FileSource.of_paths(text), 300, True)
    program = project_root / "tests" / "parallel" / "programs" / "peak_memory.py"

    def measure(config, options):
        job = {
            "config": str(config),
            "flags": {"dataset_dir": str(text), "vocab_file": str(folder / "vocab.txt")},
            "cache": str(folder / "cache"),
            "steps": 3,
            "options": options,
        }
        (folder / "job.json").write_text(json.dumps(job))
        # The plan is of MindSpore's own operators, which cards have; the fused ones keep less.
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MINDMLM_KERNELS", "0")
            (printed,) = run_ranks(program, 1, [folder / "job.json"], timeout=400)
        return json.loads(printed.splitlines()[-1])["peak"]

    return measure


@pytest.mark.slow
@pytest.mark.parametrize("recompute", [False, True])
def test_bytes_of_a_row_are_within_a_third_of_what_was_measured(project_root, peak, recompute):
    path = project_root / "configs" / "bert" / "run_bert_tiny_zh.yaml"
    measured, planned = [], []
    for rows in ROWS:
        batch = (f"runner_config.batch_size={rows}", f"recompute_config.recompute={recompute}")
        options = [*SMALL_OPTIONS, *WIDE, *batch]
        measured.append(peak(path, options))
        config = load_config(path, options, require_inputs=False).config
        (rank,) = rank_bytes(config, 300, ParallelLayout())
        planned.append(rank.recomputed if recompute else rank.activations)
    slope = (measured[1] - measured[0]) / (ROWS[1] - ROWS[0])
    print(f"measured {slope / 2**20:.2f} MB a row")
    assert (planned[1] - planned[0]) / (ROWS[1] - ROWS[0]) == pytest.approx(slope, rel=0.3)
