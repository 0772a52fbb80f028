"""RoBERTa with the masked-language-model head: Hugging Face.

Our own names are BERT's, whose network it is.
"""

from dataclasses import replace

from mindmlm.conversion.tables import bert
from mindmlm.conversion.tables.base import AS_IT_IS, TORCH, Entry, NameTable

_TASK_HEAD = "the head of another task, which the model here does not have"
_ENCODER = tuple(
    replace(entry, theirs=entry.theirs.replace("bert.", "roberta.", 1))
    for entry in bert.HUGGINGFACE.entries
    if entry.theirs.startswith("bert.")
)

# transformers/models/roberta/modeling_roberta.py
HUGGINGFACE = NameTable(
    library="huggingface",
    entries=(
        *_ENCODER,
        Entry("head.dense", "lm_head.dense", TORCH),
        Entry("head.norm", "lm_head.layer_norm", TORCH),
        Entry("head.bias", "lm_head.bias", AS_IT_IS),
    ),
    prefix="roberta.",
    without_prefix=("lm_head.", "classifier.", "qa_outputs."),
    tied={
        "lm_head.decoder.weight": "roberta.embeddings.word_embeddings.weight",
        "lm_head.decoder.bias": "lm_head.bias",
    },
    left_out={
        "roberta.embeddings.position_ids": "a constant (0, 1, 2, ...)",
        "roberta.embeddings.token_type_ids": "a constant (zeros)",
        "classifier.*": _TASK_HEAD,
        "qa_outputs.*": _TASK_HEAD,
    },
)
