"""Section `model`: the network."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from mindmlm.config.schema.base import Section
from mindmlm.config.schema.types import (
    Boolean,
    Decay,
    PositiveInteger,
    PositiveNumber,
    Spellings,
)

_DTYPES = Spellings(
    accepted={
        "fp32": "float32",
        "fp16": "float16",
        "bf16": "bfloat16",
    }
)
_ARCHITECTURES = Spellings(
    refused={
        "BertForPreTraining": "next-sentence prediction is not there yet, and a head without its "
        "loss would be trained on nothing. Use BertForMaskedLM"
    }
)


class BertModelConfig(Section):
    """Shape and numerics of a BERT encoder (Devlin et al., 2019). Defaults are BERT-base's."""

    type: Literal["BertConfig"] = Field(default="BertConfig", description="Kind of network.")
    vocab_size: PositiveInteger | None = Field(
        default=None,
        description="Rows of the token embedding. null = the tokenizer's size; larger is allowed, "
        "smaller is an error.",
    )
    hidden_size: PositiveInteger = Field(
        default=768, description="Width of the encoder; a multiple of `num_attention_heads`."
    )
    num_hidden_layers: PositiveInteger = Field(default=12, description="Encoder layers.")
    num_attention_heads: PositiveInteger = Field(
        default=12, description="Attention heads of a layer."
    )
    intermediate_size: PositiveInteger = Field(
        default=3072, description="Width of the feed-forward part."
    )
    hidden_act: Literal["gelu", "gelu_tanh", "relu"] = Field(
        default="gelu",
        description="Activation: `gelu` is the exact form (erf), `gelu_tanh` the approximation "
        "of Google's first code.",
    )
    hidden_dropout_prob: Decay = Field(
        default=0.1,
        description="Dropout after the embeddings, the attention output and the feed-forward.",
    )
    attention_probs_dropout_prob: Decay = Field(
        default=0.1, description="Dropout of attention weights."
    )
    max_position_embeddings: PositiveInteger = Field(
        default=512, description="Longest row the model can read, in tokens."
    )
    type_vocab_size: PositiveInteger = Field(default=2, description="Number of segment kinds.")
    initializer_range: PositiveNumber = Field(
        default=0.02, description="Standard deviation of the weights before training."
    )
    layer_norm_eps: PositiveNumber = Field(
        default=1e-12, description="Epsilon of every layer norm."
    )
    post_layernorm_residual: Boolean = Field(
        default=True,
        description="True: layer norm after the residual sum, as in BERT. False: before each "
        "sub-layer (pre-layer-norm), with one more at the end.",
    )
    add_pooling_layer: Boolean = Field(
        default=False,
        description="Add the [CLS] pooler. Masked-language modelling does not train it; "
        "fine-tuning a classifier later wants it.",
    )
    compute_dtype: Annotated[
        Literal["float32", "float16", "bfloat16"], BeforeValidator(_DTYPES)
    ] = Field(
        default="float32",
        description="Type of the matrix products. Weights, layer norms, softmax and loss stay "
        "float32. bfloat16 needs Ascend.",
    )


class ArchitectureConfig(Section):
    """Encoder plus head."""

    type: Annotated[Literal["BertForMaskedLM"], BeforeValidator(_ARCHITECTURES)] = Field(
        default="BertForMaskedLM", description="Encoder with the masked-language-model head."
    )


class ModelConfig(Section):
    """Network and head."""

    settings: BertModelConfig = Field(
        default_factory=BertModelConfig,
        alias="model_config",
        description="Shape and numerics of the network.",
    )
    arch: ArchitectureConfig = Field(
        default_factory=ArchitectureConfig, description="Which head sits on the network."
    )


class TrainerConfig(Section):
    """What is trained, and its name."""

    type: Literal["MaskedLanguageModelingTrainer"] = Field(
        default="MaskedLanguageModelingTrainer", description="The training task."
    )
    model_name: str = Field(
        default="bert", description="Name of the model in log lines and checkpoints."
    )
