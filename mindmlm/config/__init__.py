"""Configuration: layered YAML, typed, checked, every value with its origin. No MindSpore here."""

from mindmlm.config.loader import LoadedConfig, load_config
from mindmlm.config.render import render, to_plain
from mindmlm.config.schema import RunConfig

__all__ = ["LoadedConfig", "RunConfig", "load_config", "render", "to_plain"]
