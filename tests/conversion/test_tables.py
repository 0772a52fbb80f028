"""Name tables: they cover the models, and writing is the inverse of reading."""

import numpy as np
import pytest
import torch
import transformers

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.config.schema.gpt2 import GPT2ModelConfig
from mindmlm.conversion.architectures import BERT, BERT_PRETRAINING, GPT2
from mindmlm.conversion.converted_model import ConvertedModel, export
from mindmlm.conversion.matching import Allowances, match
from mindmlm.conversion.report import Report
from mindmlm.conversion.tables.base import TORCH, TORCH_TABLE, Entry, NameTable
from mindmlm.errors import CheckpointError
from mindmlm.testing.memory_source import MemorySource
from mindmlm.testing.tiny_bert import SHAPE, VOCAB

GPT2_PARAMETERS = GPT2.parameters(
    GPT2ModelConfig(
        hidden_size=12, num_hidden_layers=2, num_attention_heads=3, max_position_embeddings=9
    ),
    31,
)
PAIRS_PARAMETERS = BERT_PRETRAINING.parameters(BertModelConfig(**SHAPE), VOCAB)


@pytest.mark.parametrize("pooler", [False, True])
def test_the_parameters_are_those_of_the_model(pooler, graph_mode) -> None:
    from mindmlm.models.bert.heads import BertForMaskedLM

    for post_norm in (True, False):
        settings = BertModelConfig(
            **SHAPE, add_pooling_layer=pooler, post_layernorm_residual=post_norm
        )
        model = {v.name: v.shape for v in BertForMaskedLM(settings, VOCAB).get_parameters()}
        assert BERT.parameters(settings, VOCAB) == model


def test_the_parameters_are_those_of_the_model_with_pairs(graph_mode) -> None:
    from mindmlm.models.bert.pretraining import BertForPreTraining

    settings = BertModelConfig(**SHAPE)
    model = {v.name: v.shape for v in BertForPreTraining(settings, VOCAB).get_parameters()}
    assert BERT_PRETRAINING.parameters(settings, VOCAB) == model


@pytest.mark.parametrize("kind", [BERT, BERT_PRETRAINING], ids=["masked", "pairs"])
@pytest.mark.parametrize("library", ["huggingface", "tensorflow", "mindformers"])
def test_every_parameter_of_bert_has_a_name_everywhere(library, kind) -> None:
    wanted = kind.parameters(BertModelConfig(**SHAPE, add_pooling_layer=True), VOCAB)
    recipes = kind.table(library).recipes(wanted)
    assert set(recipes) == set(wanted)
    assert len({(recipe.theirs, recipe.part) for recipe in recipes.values()}) == len(wanted)


@pytest.mark.parametrize(
    ("shapes", "table"),
    [
        *((BERT.parameters(BertModelConfig(**SHAPE), VOCAB), table) for table in BERT.tables),
        *((PAIRS_PARAMETERS, table) for table in BERT_PRETRAINING.tables),
        *((GPT2_PARAMETERS, table) for table in GPT2.tables),
    ],
)
def test_reading_undoes_writing(shapes, table) -> None:
    shapes = {name: shape for name, shape in shapes.items() if name not in table.zero}
    rng = np.random.default_rng(0)
    arrays = {name: rng.random(shape, np.float32) for name, shape in shapes.items()}
    model = ConvertedModel(shapes, arrays.__getitem__, Report("", ""))
    exported = export(model, table)
    theirs = dict(exported.items())
    assert {name: spec.shape for name, spec in exported.specs.items()} == {
        name: array.shape for name, array in theirs.items()
    }
    found = match(MemorySource(theirs), [table], shapes, Allowances())
    for name, array in arrays.items():
        np.testing.assert_array_equal(found.read(name), array, err_msg=name)


@pytest.fixture(scope="module")
def gpt2_model():
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=31, n_positions=9, n_embd=12, n_layer=2, n_head=3)
    model = transformers.GPT2LMHeadModel(config).eval()
    for value in model.parameters():
        torch.nn.init.normal_(value)
    return model


@pytest.mark.parametrize("bare", [False, True])
def test_gpt2_of_transformers(bare, gpt2_model) -> None:
    model = gpt2_model.transformer if bare else gpt2_model
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    prefix = "" if bare else "transformer."
    state[f"{prefix}h.0.attn.bias"] = np.ones((1, 1, 9, 9), bool)  # files before 4.28 have it
    found = match(MemorySource(state), GPT2.tables, GPT2_PARAMETERS, Allowances())
    assert found.fresh == []
    assert len(found.report.of("tied")) == (not bare)
    assert [line.theirs for line in found.report.of("left out")] == [f"{prefix}h.0.attn.bias"]
    x = torch.randn(4, 12)
    layer = gpt2_model.transformer.h[1]
    parts = layer.attn.c_attn(x).split(12, dim=-1)
    for part, name in zip(parts, ("query", "key", "value"), strict=True):
        weight = found.read(f"gpt2.layers.1.attention.{name}.weight")
        bias = found.read(f"gpt2.layers.1.attention.{name}.bias")
        np.testing.assert_allclose(x.numpy() @ weight.T + bias, part.detach(), atol=1e-4)
    for ours, theirs in (("intermediate", layer.mlp.c_fc), ("attention.output", layer.attn.c_proj)):
        weight = found.read(f"gpt2.layers.1.{ours}.weight")
        bias = found.read(f"gpt2.layers.1.{ours}.bias")
        np.testing.assert_allclose(x.numpy() @ weight.T + bias, theirs(x).detach(), atol=1e-4)


def test_only_the_head_of_a_tied_pair_is_enough(gpt2_model) -> None:
    state = {name: value.numpy() for name, value in gpt2_model.state_dict().items()}
    expected = state.pop("transformer.wte.weight")
    found = match(MemorySource(state), GPT2.tables, GPT2_PARAMETERS, Allowances())
    np.testing.assert_array_equal(found.read("gpt2.embeddings.word"), expected)


def test_another_architecture_joins_by_a_table() -> None:
    """DistilBERT, which has neither segments nor a pooler, from its own model's names."""
    layer, theirs = "distil.layers.{n}", "distilbert.transformer.layer.{n}"
    pairs = {
        "attention.query": "attention.q_lin",
        "attention.key": "attention.k_lin",
        "attention.value": "attention.v_lin",
        "attention.output": "attention.out_lin",
        "attention_norm": "sa_layer_norm",
        "intermediate": "ffn.lin1",
        "output": "ffn.lin2",
        "output_norm": "output_layer_norm",
    }
    table = NameTable(
        library="huggingface",
        entries=(
            Entry("distil.embeddings.word", "distilbert.embeddings.word_embeddings", TORCH_TABLE),
            Entry(
                "distil.embeddings.position",
                "distilbert.embeddings.position_embeddings",
                TORCH_TABLE,
            ),
            Entry("distil.embeddings.norm", "distilbert.embeddings.LayerNorm", TORCH),
            *(Entry(f"{layer}.{a}", f"{theirs}.{b}", TORCH) for a, b in pairs.items()),
        ),
        prefix="distilbert.",
    )
    config = transformers.DistilBertConfig(
        vocab_size=31, dim=12, n_layers=2, n_heads=3, hidden_dim=20, max_position_embeddings=9
    )
    state = transformers.DistilBertModel(config).state_dict()
    arrays = {name: value.numpy() for name, value in state.items()}
    bert = BERT.parameters(
        BertModelConfig(
            hidden_size=12,
            num_hidden_layers=2,
            num_attention_heads=3,
            intermediate_size=20,
            max_position_embeddings=9,
        ),
        31,
    )
    wanted = {
        name.replace("bert.", "distil."): shape
        for name, shape in bert.items()
        if not name.startswith("head.") and "token_type" not in name
    }
    found = match(MemorySource(arrays), [table], wanted, Allowances())
    assert sum(found.read(name).size for name in wanted) == sum(a.size for a in arrays.values())


def test_two_names_of_one_tensor_are_refused() -> None:
    name = "bert.encoder.layer.0.output.LayerNorm"
    with pytest.raises(CheckpointError, match="two names of one tensor"):
        BERT.table("huggingface").canonical([f"{name}.gamma", f"{name}.weight"])


def test_names_of_nothing_known_are_shown() -> None:
    source = MemorySource({"conv1.weight": np.zeros(3, np.float32)})
    with pytest.raises(CheckpointError, match=r"none of its tensors.*\n.*conv1\.weight"):
        match(source, BERT.tables, {"head.bias": (3,)}, Allowances())
