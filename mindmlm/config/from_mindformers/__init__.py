"""From the YAML of MindFormers r0.3 (BERT, GPT-2, question answering) to ours."""

from mindmlm.config.from_mindformers.convert import Converted, convert

__all__ = ["Converted", "convert"]
