"""What a run starts from that no checkpoint is named for."""

import logging

from mindmlm.build.model import ModelOnRank, load_model
from mindmlm.build.tasks import task_of
from mindmlm.config.schema import RunConfig

logger = logging.getLogger(__name__)


def load_first_weights(model: ModelOnRank, config: RunConfig) -> None:
    """Fill the model with its blocks of the weights that its task has for it, if it has some.

    Raises:
        CheckpointError: they cannot be read.
    """
    weights = task_of(config).first_weights(model)
    if weights is not None:
        load_model(model, weights)
        logger.info("the weights start from %s", weights.path)
