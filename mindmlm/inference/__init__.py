"""Using a trained model."""

from mindmlm.inference.text_generation import generate

__all__ = ["generate"]
