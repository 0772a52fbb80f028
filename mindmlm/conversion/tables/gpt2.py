"""GPT-2: Hugging Face and MindFormers."""

from mindmlm.conversion.tables.base import (
    MS_DENSE,
    MS_DENSE_TRANSPOSED,
    MS_NORM,
    MS_TABLE,
    TORCH,
    TORCH_CONV1D,
    TORCH_TABLE,
    Entry,
    NameTable,
)

_LAYER, _HF_LAYER, _MS_LAYER = "gpt2.layers.{n}", "transformer.h.{n}", "backbone.blocks.{n}"
_MASK = "a constant (the causal mask)"
_OPTIMIZER = "state of the optimizer that wrote it"

# transformers/models/gpt2/modeling_gpt2.py; Conv1D keeps its matrix as [inputs, outputs].
HUGGINGFACE = NameTable(
    library="huggingface",
    entries=(
        Entry("gpt2.embeddings.word", "transformer.wte", TORCH_TABLE),
        Entry("gpt2.embeddings.position", "transformer.wpe", TORCH_TABLE),
        Entry(f"{_LAYER}.attention_norm", f"{_HF_LAYER}.ln_1", TORCH),
        Entry(
            tuple(f"{_LAYER}.attention.{part}" for part in ("query", "key", "value")),
            f"{_HF_LAYER}.attn.c_attn",
            TORCH_CONV1D,
        ),
        Entry(f"{_LAYER}.attention.output", f"{_HF_LAYER}.attn.c_proj", TORCH_CONV1D),
        Entry(f"{_LAYER}.feed_forward_norm", f"{_HF_LAYER}.ln_2", TORCH),
        Entry(f"{_LAYER}.intermediate", f"{_HF_LAYER}.mlp.c_fc", TORCH_CONV1D),
        Entry(f"{_LAYER}.output", f"{_HF_LAYER}.mlp.c_proj", TORCH_CONV1D),
        Entry("gpt2.final_norm", "transformer.ln_f", TORCH),
    ),
    prefix="transformer.",
    without_prefix=("lm_head.", "score.", "classifier."),
    tied={"lm_head.weight": "transformer.wte.weight"},
    left_out={"transformer.h.*.attn.bias": _MASK, "transformer.h.*.attn.masked_bias": _MASK},
)

# mindformers models/gpt2/convert_weight.py
MINDFORMERS = NameTable(
    library="mindformers",
    entries=(
        Entry("gpt2.embeddings.word", "backbone.embedding.word_embedding", MS_TABLE),
        Entry("gpt2.embeddings.position", "backbone.embedding.position_embedding", MS_TABLE),
        Entry(f"{_LAYER}.attention_norm", f"{_MS_LAYER}.layernorm1", MS_NORM),
        Entry(f"{_LAYER}.attention.query", f"{_MS_LAYER}.attention.dense1", MS_DENSE),
        Entry(f"{_LAYER}.attention.key", f"{_MS_LAYER}.attention.dense2", MS_DENSE),
        Entry(f"{_LAYER}.attention.value", f"{_MS_LAYER}.attention.dense3", MS_DENSE),
        Entry(
            f"{_LAYER}.attention.output", f"{_MS_LAYER}.attention.projection", MS_DENSE_TRANSPOSED
        ),
        Entry(f"{_LAYER}.feed_forward_norm", f"{_MS_LAYER}.layernorm2", MS_NORM),
        Entry(f"{_LAYER}.intermediate", f"{_MS_LAYER}.output.mapping", MS_DENSE_TRANSPOSED),
        Entry(f"{_LAYER}.output", f"{_MS_LAYER}.output.projection", MS_DENSE_TRANSPOSED),
        Entry("gpt2.final_norm", "backbone.layernorm", MS_NORM),
    ),
    tied={
        "head.weight": "backbone.embedding.word_embedding.embedding_table",
    },
    left_out={
        "backbone.blocks.*.attention.beta": _MASK,
        "backbone.blocks.*.attention.masked_beta": _MASK,
        "adam_m.*": _OPTIMIZER,
        "adam_v.*": _OPTIMIZER,
        "global_step": _OPTIMIZER,
        "scale_sense": _OPTIMIZER,
    },
)
