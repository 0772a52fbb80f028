"""A model that has learnt something already, to be judged or asked."""

from dataclasses import dataclass
from typing import Any

from mindmlm import build
from mindmlm.config.schema import RunConfig
from mindmlm.jobs.given import Given
from mindmlm.jobs.session import Session
from mindmlm.jobs.start import checkpoint_tokenizer, load_checkpoint
from mindmlm.tokenizers.files import AnyTokenizer, load_tokenizer


@dataclass(frozen=True)
class TrainedModel:
    """A model with its weights.

    Attributes:
        session: whose configuration describes the model.
        model: of this rank.
        tokenizer: of the model.
        step: of the training run that the weights are from; 0 where nothing is known of it.
        trained_on: the configuration of that run as plain data; None where there is none.
    """

    session: Session
    model: Any
    tokenizer: AnyTokenizer
    step: int = 0
    trained_on: RunConfig | None = None


def trained_model(met: Session, given: Given) -> TrainedModel:
    """The model of the checkpoint that `load_checkpoint` names, or without one the given network.

    Raises:
        CheckpointError: there is no good checkpoint.
        ConfigError: the network does not fit, or no vocabulary is named for it.
    """
    if given.model is not None and not met.config.load_checkpoint:
        tokenizer = load_tokenizer(met.config.processor.tokenizer)
        return TrainedModel(met, given.build_model(met.config, tokenizer, met.place), tokenizer)
    session, checkpoint = load_checkpoint(met)
    config = session.config
    tokenizer = checkpoint_tokenizer(config, checkpoint)
    if given.model is not None:
        model = given.build_model(config, tokenizer, session.place)
    else:
        model = build.build_model(config, tokenizer, session.place)
    build.load_model(model, checkpoint)
    trained_on = RunConfig.model_validate(checkpoint.config)
    return TrainedModel(session, model, tokenizer, checkpoint.step, trained_on)
