"""Section `model`: the network and what is put on it; section `trainer`: the task."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from mindmlm.config.schema.base import Section
from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.config.schema.electra import ElectraModelConfig
from mindmlm.config.schema.gpt2 import GPT2ModelConfig
from mindmlm.config.schema.roberta import RobertaModelConfig


def _network(value: Any) -> Any:
    """The kind of network that a section describes; BERT where it does not say."""
    if isinstance(value, dict):
        return value.get("type", "BertConfig")
    return getattr(value, "type", None)


AnyNetworkConfig = Annotated[
    Annotated[BertModelConfig, Tag("BertConfig")]
    | Annotated[RobertaModelConfig, Tag("RobertaConfig")]
    | Annotated[GPT2ModelConfig, Tag("GPT2Config")]
    | Annotated[ElectraModelConfig, Tag("ElectraConfig")],
    Discriminator(_network),
]


class ArchitectureConfig(Section):
    """Network plus head."""

    type: Literal[
        "BertForMaskedLM",
        "RobertaForMaskedLM",
        "BertForPreTraining",
        "BertForQuestionAnswering",
        "GPT2LMHeadModel",
        "ElectraForPreTraining",
    ] = Field(
        default="BertForMaskedLM",
        description="BertForMaskedLM, RobertaForMaskedLM: an encoder that fills in blanks. "
        "BertForPreTraining: one that learns besides whether two segments belong together "
        "(`train_dataset.sentence_pairs`), with a pooler. BertForQuestionAnswering: one that finds "
        "answers in a text. GPT2LMHeadModel: a decoder that writes on. ElectraForPreTraining: an "
        "encoder that finds the tokens that a smaller one has replaced.",
    )


class ModelConfig(Section):
    """Network and head."""

    settings: AnyNetworkConfig = Field(
        default_factory=BertModelConfig,
        alias="model_config",
        description="Shape and numerics of the network.",
    )
    arch: ArchitectureConfig = Field(
        default_factory=ArchitectureConfig, description="Which head sits on the network."
    )


class TrainerConfig(Section):
    """What is trained, and its name."""

    type: Literal[
        "MaskedLanguageModelingTrainer",
        "CausalLanguageModelingTrainer",
        "QuestionAnsweringTrainer",
        "ReplacedTokenDetectionTrainer",
        "DistillationTrainer",
    ] = Field(
        default="MaskedLanguageModelingTrainer",
        description="The training task: words that are hidden, the word that comes next, the "
        "place of an answer, words that are not the original ones, or words that are hidden "
        "together with what a teacher says of them.",
    )
    model_name: str = Field(
        default="bert", description="Name of the model in log lines and checkpoints."
    )
