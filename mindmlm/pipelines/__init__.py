"""A trained model that answers; see docs/trainer.md."""

from mindmlm.pipelines.answering import Pipeline, pipeline

__all__ = ["Pipeline", "pipeline"]
