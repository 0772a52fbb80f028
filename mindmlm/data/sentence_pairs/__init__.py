"""Rows of two segments: next sentences (BERT) and ordered sentences (ALBERT, MacBERT)."""

from mindmlm.data.sentence_pairs.batch import PairBatch
from mindmlm.data.sentence_pairs.sampling import NSP, SINGLE, SOP

__all__ = ["NSP", "SINGLE", "SOP", "PairBatch"]
