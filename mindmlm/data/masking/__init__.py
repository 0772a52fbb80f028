"""Choosing what the model must predict; one strategy a file."""

from mindmlm.data.masking.apply import mask_batch
from mindmlm.data.masking.base import MaskedBatch, MaskingSettings, TokenBatch, VocabularyInfo

__all__ = ["MaskedBatch", "MaskingSettings", "TokenBatch", "VocabularyInfo", "mask_batch"]
