"""BERT with the heads for hidden words and sentence pairs: Hugging Face, Google, MindFormers."""

from dataclasses import replace

from mindmlm.conversion.tables import bert
from mindmlm.conversion.tables.base import AS_IT_IS, MS_DENSE, TORCH, Entry, NameTable


def _with_pairs(table: NameTable, head: tuple[Entry, ...], known: tuple[str, ...]) -> NameTable:
    """Return a table of BERT that has the pair head too.

    Args:
        table: of `BertForMaskedLM`.
        head: its names.
        known: patterns of its names that the table leaves out.
    """
    left_out = {name: why for name, why in table.left_out.items() if name not in known}
    return replace(table, entries=table.entries + head, left_out=left_out)


# transformers/models/bert/modeling_bert.py
HUGGINGFACE = _with_pairs(
    bert.HUGGINGFACE,
    (Entry("seq_relationship", "cls.seq_relationship", TORCH),),
    ("cls.seq_relationship.*",),
)
# google-research/bert run_pretraining.py
TENSORFLOW = _with_pairs(
    bert.TENSORFLOW,
    (
        Entry("seq_relationship.weight", "cls/seq_relationship/output_weights", AS_IT_IS),
        Entry("seq_relationship.bias", "cls/seq_relationship/output_bias", AS_IT_IS),
    ),
    ("cls/seq_relationship/*",),
)
# mindformers r0.3 models/bert/bert.py
MINDFORMERS = _with_pairs(
    replace(
        bert.MINDFORMERS,
        spellings={
            **bert.MINDFORMERS.spellings,
            **{
                f"bert.nsploss.dense.{leaf}": f"nsploss.dense.{leaf}" for leaf in ("weight", "bias")
            },
        },
    ),
    (Entry("seq_relationship", "nsploss.dense", MS_DENSE),),
    ("nsploss.*", "bert.nsploss.*"),
)
