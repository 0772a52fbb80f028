"""BERT with the question-answering head: Hugging Face, Google (TensorFlow 1), MindFormers."""

from dataclasses import replace

from mindmlm.conversion.tables import bert
from mindmlm.conversion.tables.base import AS_IT_IS, TORCH, Entry, NameTable

_OTHER_HEAD = "the head of another task, which the model here does not have"


def _with_head(table: NameTable, head: tuple[Entry, ...], others: tuple[str, ...]) -> NameTable:
    """Return a table of BERT with this head in place of the masked-language-model head.

    Args:
        table: of `BertForMaskedLM`.
        head: names of the new one.
        others: patterns of their names that belong to other heads.
    """
    encoder = tuple(entry for entry in table.entries if "bert." in entry.parts[0])
    left_out = {**table.left_out, **dict.fromkeys(others, _OTHER_HEAD)}
    return replace(table, entries=encoder + head, tied={}, left_out=left_out)


# transformers/models/bert/modeling_bert.py
HUGGINGFACE = _with_head(bert.HUGGINGFACE, (Entry("qa", "qa_outputs", TORCH),), ("cls.*",))
# google-research/bert run_squad.py
TENSORFLOW = _with_head(
    bert.TENSORFLOW,
    (
        Entry("qa.weight", "cls/squad/output_weights", AS_IT_IS),
        Entry("qa.bias", "cls/squad/output_bias", AS_IT_IS),
    ),
    ("cls/predictions/*",),
)
# mindformers r0.3 models/bert/bert.py
MINDFORMERS = _with_head(
    bert.MINDFORMERS, (Entry("qa", "qa_outputs", TORCH),), ("mlmloss.*", "bert.mlmloss.*")
)
