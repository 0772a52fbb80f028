"""Config-driven pre-training of BERT and GPT-2 on MindSpore."""

__version__ = "0.1.0"
