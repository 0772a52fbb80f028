"""How widely the first values of GPT-2's weights are spread."""

from fnmatch import fnmatchcase

from mindmlm.config.schema.gpt2 import GPT2ModelConfig

_ADDED_TO_THE_RESIDUAL = ("gpt2.layers.*.attention.output.weight", "gpt2.layers.*.output.weight")


def initial_deviation(config: GPT2ModelConfig, name: str) -> float:
    """Standard deviation of the initial values of the parameter called `name`.

    `initializer_range`, and that divided by sqrt(2 * layers) for what is added to the residual
    stream: so many terms of equal size keep its variance (Radford et al. 2019, section 2.3; as
    `GPT2PreTrainedModel._init_weights` of transformers).
    """
    if any(fnmatchcase(name, pattern) for pattern in _ADDED_TO_THE_RESIDUAL):
        return float(config.initializer_range / (2 * config.num_hidden_layers) ** 0.5)
    return float(config.initializer_range)
