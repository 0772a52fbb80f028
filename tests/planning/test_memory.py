"""Bytes of a plan: those of real runs, and formulas written out by hand."""

import math

import pytest

from mindmlm.config import load_config
from mindmlm.conversion.architectures import architecture_of
from mindmlm.models.plan import ParallelPlan
from mindmlm.parallel.division import Division, bytes_of
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.parallel.semi_auto.programs import PROGRAMS
from mindmlm.parallel.semi_auto.transformer import Frame
from mindmlm.planning.engine_plan import predictions, tensor_plan
from mindmlm.planning.kept import block_bytes
from mindmlm.planning.memory import rank_bytes, stage_shapes
from mindmlm.testing.layouts import LAYOUTS

VOCAB = 71


def small(project_root, name, *more):
    path = project_root / "configs" / "bert" / "run_bert_tiny_zh.yaml"
    options = [*LAYOUTS[name], f"processor.tokenizer.train_vocab_size={VOCAB}", *more]
    return load_config(path, options, require_inputs=False).config


@pytest.mark.parametrize("zero", [True, False])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    "layout", [(2, 2, 2), (8, 1, 1), (1, 4, 2), (4, 2, 1), (1, 2, 4), (2, 1, 4)]
)
def test_no_rank_of_eight_holds_more_than_its_stage_is_said_to(project_root, layout, whole, zero):
    options = (f"parallel_config.vocab_emb_dp={whole}", f"parallel_config.optimizer_shard={zero}")
    config, grid = small(project_root, "one", *options), ParallelLayout(*layout)
    planned = rank_bytes(config, VOCAB, grid)
    for stage in range(grid.pipeline_stage):
        shapes = stage_shapes(config, VOCAB, grid, stage)
        ranks = [
            bytes_of(shapes, Division(grid, rank, tensor_plan(config), zero))
            for rank in range(8)
            if grid.coordinates(rank).stage == stage
        ]
        assert planned[stage].gradients == max(one["weights"] for one in ranks)
        assert planned[stage].parameters == max(one["weights"] + one["master"] for one in ranks)
        assert planned[stage].optimizer == max(one["moments"] for one in ranks)


@pytest.mark.parametrize("name", ["bert/run_bert_base_chinese.yaml", "gpt2/run_gpt2_13b.yaml"])
def test_stages_together_are_the_model_and_a_second_word_embedding(project_root, name):
    config = load_config(project_root / "configs" / name, require_inputs=False).config
    settings, layout = config.model.settings, ParallelLayout(1, 1, 4)
    every = architecture_of(settings).parameters(settings, 1000)
    stages = [stage_shapes(config, 1000, layout, stage) for stage in range(4)]
    word = architecture_of(settings).word
    assert set().union(*stages) == set(every)
    assert sum(map(len, stages)) == len(every) + 1
    assert (word in stages[0], word in stages[1], word in stages[3]) == (True, False, True)


def layer_by_hand(settings, rows, batch, sequence, parts):
    """Bytes of a layer in float32: see the words beside each summand."""
    hidden, inner = settings.hidden_size, settings.inner_size // parts
    heads = settings.num_attention_heads // parts
    low = 2 if settings.compute_dtype == "float16" else 4
    scores, mine = batch * heads * sequence**2, hidden // parts
    attends, drops = settings.attention_probs_dropout_prob > 0, settings.hidden_dropout_prob > 0
    sums = {
        "two norms: normalised values, deviations": 2 * 4 * (rows * hidden + rows),
        "what goes into the projections and the inner layer": 2 * low * rows * hidden,
        "queries, keys, values, context": 4 * low * rows * mine,
        "probabilities": 4 * scores,
        "... dropped, for the product with the values": low * scores if attends or low == 2 else 0,
        "inner values and their gate": 2 * 4 * rows * inner,
        "activated": low * rows * inner,
        "masks": scores * attends + 2 * rows * hidden * drops,
        "weights in 16 bits": (4 * hidden * mine + 2 * hidden * inner) * low if low == 2 else 0,
    }
    return sum(sums.values())


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("parts", [1, 2, 4])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_kept_bytes_of_a_gpt2_layer(project_root, dtype, parts, dropout):
    """GPT-2's layer in pieces. A dropout mask is a byte a value."""
    options = [
        "model.model_config.hidden_size=64",
        "model.model_config.num_attention_heads=8",
        "model.model_config.num_hidden_layers=1",
        f"model.model_config.compute_dtype={dtype}",
        f"model.model_config.hidden_dropout_prob={dropout}",
        f"model.model_config.attention_probs_dropout_prob={dropout}",
    ]
    path = project_root / "configs" / "gpt2" / "run_gpt2_tiny.yaml"
    settings = load_config(path, options, require_inputs=False).config.model.settings
    layout, plan = ParallelLayout(1, parts, 1), architecture_of(settings).tensor_plan
    frame = Frame(settings, VOCAB, layout, plan, batch=3, sequence=16)
    layer = PROGRAMS["GPT2LMHeadModel"](frame, 0).layers[0]
    assert block_bytes(layer) == layer_by_hand(settings, 48, 3, 16, parts)


def test_kept_bytes_of_the_heads(project_root):
    """BERT's head works on the chosen positions only; the scores are the largest of all."""
    config = small(project_root, "one")
    settings, chosen = config.model.settings, predictions(config)
    frame = Frame(settings, VOCAB, ParallelLayout(), ParallelPlan({}), batch=3, sequence=32)
    head = PROGRAMS["BertForMaskedLM"](frame, chosen).head
    rows, hidden = 3 * chosen, settings.hidden_size
    by_hand = 4 * (
        rows * hidden  # what goes into the dense layer
        + 4 * rows * hidden  # exact GELU as the engine writes it out: x, its half, and the norm ...
        + rows  # deviations
        + rows * VOCAB  # probabilities
        + rows  # chosen positions
    )
    assert block_bytes(head) == pytest.approx(by_hand, rel=0.1)


def test_data_parallel_ranks_keep_the_same_and_model_parallel_ranks_less(project_root):
    config = small(project_root, "one")
    one, more_rows, cut = (
        rank_bytes(config, VOCAB, ParallelLayout(*degrees))[0]
        for degrees in [(1, 1, 1), (4, 1, 1), (1, 2, 1)]
    )
    assert one.activations == more_rows.activations > cut.activations
    assert one.recomputed < one.activations
    assert (one.buffers, more_rows.buffers > 0) == (0, True)
    assert math.isclose(cut.optimizer, one.optimizer, rel_tol=0.5)
