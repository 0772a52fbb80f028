"""DistilBERT with the masked-language-model head, as a BERT without token types: Hugging Face."""

from mindmlm.conversion.tables.base import TORCH, TORCH_TABLE, Entry, Leaf, NameTable

_TASK_HEAD = "the head of another task, which the model here does not have"
_LAYER, _HF_LAYER = "bert.layers.{n}", "distilbert.transformer.layer.{n}"

# transformers/models/distilbert/modeling_distilbert.py
DISTILBERT = NameTable(
    library="distilbert",
    entries=(
        Entry("bert.embeddings.word", "distilbert.embeddings.word_embeddings", TORCH_TABLE),
        Entry("bert.embeddings.position", "distilbert.embeddings.position_embeddings", TORCH_TABLE),
        Entry("bert.embeddings.norm", "distilbert.embeddings.LayerNorm", TORCH),
        Entry(f"{_LAYER}.attention.query", f"{_HF_LAYER}.attention.q_lin", TORCH),
        Entry(f"{_LAYER}.attention.key", f"{_HF_LAYER}.attention.k_lin", TORCH),
        Entry(f"{_LAYER}.attention.value", f"{_HF_LAYER}.attention.v_lin", TORCH),
        Entry(f"{_LAYER}.attention.output", f"{_HF_LAYER}.attention.out_lin", TORCH),
        Entry(f"{_LAYER}.attention_norm", f"{_HF_LAYER}.sa_layer_norm", TORCH),
        Entry(f"{_LAYER}.intermediate", f"{_HF_LAYER}.ffn.lin1", TORCH),
        Entry(f"{_LAYER}.output", f"{_HF_LAYER}.ffn.lin2", TORCH),
        Entry(f"{_LAYER}.output_norm", f"{_HF_LAYER}.output_layer_norm", TORCH),
        Entry("head.dense", "vocab_transform", TORCH),
        Entry("head.norm", "vocab_layer_norm", TORCH),
        Entry("head.bias", "vocab_projector", (Leaf("", ".bias"),)),
    ),
    prefix="distilbert.",
    without_prefix=("vocab_", "qa_outputs.", "classifier.", "pre_classifier."),
    tied={"vocab_projector.weight": "distilbert.embeddings.word_embeddings.weight"},
    left_out={
        "distilbert.embeddings.position_ids": "a constant (0, 1, 2, ...)",
        "qa_outputs.*": _TASK_HEAD,
        "classifier.*": _TASK_HEAD,
        "pre_classifier.*": _TASK_HEAD,
    },
    zero=("bert.embeddings.token_type",),
)
