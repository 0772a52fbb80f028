"""Samples and batches of causal language models: every token is predicted from those before it."""

from mindmlm.data.causal.batches import (
    CausalBatch,
    CausalEvalBatches,
    CausalTrainBatches,
    RowForm,
    causal_batch,
)

__all__ = ["CausalBatch", "CausalEvalBatches", "CausalTrainBatches", "RowForm", "causal_batch"]
