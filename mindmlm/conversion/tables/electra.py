"""ELECTRA in Hugging Face's library, which has a model for each of the two networks."""

from dataclasses import replace

from mindmlm.conversion.tables.base import AS_IT_IS, TORCH, TORCH_TABLE, Entry, NameTable

_OTHER_HEAD = "the head of another task, which the model here does not have"
_GENERATOR_HEAD = "the generator's head, which belongs to another network"
# Stands before the names of a generator that is read together with its discriminator.
GENERATOR_PREFIX = "generator/"
_LAYER = "electra.encoder.layer.{n}"
_WORD = "electra.embeddings.word_embeddings.weight"

_EMBEDDINGS = (
    Entry("embeddings.word", "electra.embeddings.word_embeddings", TORCH_TABLE),
    Entry("embeddings.position", "electra.embeddings.position_embeddings", TORCH_TABLE),
    Entry("embeddings.token_type", "electra.embeddings.token_type_embeddings", TORCH_TABLE),
    Entry("embeddings.norm", "electra.embeddings.LayerNorm", TORCH),
)


def _network(name: str) -> tuple[Entry, ...]:
    """Projection and layers of our network ``name``; they are called the same for both there."""
    ours = f"{name}.layers.{{n}}"
    return (
        Entry(f"{name}.projection", "electra.embeddings_project", TORCH),
        Entry(f"{ours}.attention.query", f"{_LAYER}.attention.self.query", TORCH),
        Entry(f"{ours}.attention.key", f"{_LAYER}.attention.self.key", TORCH),
        Entry(f"{ours}.attention.value", f"{_LAYER}.attention.self.value", TORCH),
        Entry(f"{ours}.attention.output", f"{_LAYER}.attention.output.dense", TORCH),
        Entry(f"{ours}.attention_norm", f"{_LAYER}.attention.output.LayerNorm", TORCH),
        Entry(f"{ours}.intermediate", f"{_LAYER}.intermediate.dense", TORCH),
        Entry(f"{ours}.output", f"{_LAYER}.output.dense", TORCH),
        Entry(f"{ours}.output_norm", f"{_LAYER}.output.LayerNorm", TORCH),
    )


_GENERATOR = (
    *_network("generator"),
    Entry("generator_head.dense", "generator_predictions.dense", TORCH),
    Entry("generator_head.norm", "generator_predictions.LayerNorm", TORCH),
    Entry("generator_head.bias", "generator_lm_head.bias", AS_IT_IS),
)

# transformers/models/electra/modeling_electra.py, ElectraForPreTraining
HUGGINGFACE = NameTable(
    library="huggingface",
    entries=(
        *_EMBEDDINGS,
        *_network("discriminator"),
        Entry("discriminator_head.dense", "discriminator_predictions.dense", TORCH),
        Entry("discriminator_head.prediction", "discriminator_predictions.dense_prediction", TORCH),
    ),
    left_out={
        "electra.embeddings.position_ids": "a constant (0, 1, 2, ...)",
        "electra.embeddings.token_type_ids": "a constant (zeros)",
        "generator_predictions.*": _GENERATOR_HEAD,
        "generator_lm_head.*": _GENERATOR_HEAD,
        "qa_outputs.*": _OTHER_HEAD,
        "classifier.*": _OTHER_HEAD,
    },
)
# ElectraForMaskedLM, whose decoder is the word embedding.
GENERATOR = NameTable(library="huggingface", entries=(*_EMBEDDINGS, *_GENERATOR))
# Both in one: the generator's names with `GENERATOR_PREFIX`.
TOGETHER = NameTable(
    library="huggingface",
    entries=(
        *HUGGINGFACE.entries,
        *(replace(entry, theirs=GENERATOR_PREFIX + entry.theirs) for entry in _GENERATOR),
    ),
    tied={
        GENERATOR_PREFIX + "generator_lm_head.weight": _WORD,
        **{
            GENERATOR_PREFIX + entry.theirs + leaf.theirs: entry.theirs + leaf.theirs
            for entry in _EMBEDDINGS
            for leaf in entry.style
        },
    },
    left_out={
        **HUGGINGFACE.left_out,
        GENERATOR_PREFIX + "electra.embeddings.position_ids": "a constant (0, 1, 2, ...)",
        GENERATOR_PREFIX + "electra.embeddings.token_type_ids": "a constant (zeros)",
    },
)
