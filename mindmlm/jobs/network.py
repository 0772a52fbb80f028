"""The network of a run by itself."""

from mindspore import nn

from mindmlm.config import LoadedConfig
from mindmlm.errors import ConfigError
from mindmlm.jobs.given import NOTHING
from mindmlm.jobs.session import open_session
from mindmlm.jobs.trained import trained_model
from mindmlm.jobs.training import prepared_data


def build_network(loaded: LoadedConfig) -> nn.Cell:
    """The network of a configuration with the weights of `load_checkpoint`, or its first values.

    Where no vocabulary is named, the one that training would use is made, as in training.

    Raises:
        ConfigError, DataError, CheckpointError: see their messages.
    """
    if loaded.config.processes > 1:
        raise ConfigError("use_parallel: a network is built whole in one process; use False")
    with open_session(loaded) as session:
        if loaded.config.load_checkpoint:
            return trained_model(session, NOTHING).model.cell
        tokenizer, _ = prepared_data(session, None)
        return NOTHING.build_model(session.config, tokenizer, session.place).cell
