"""Section `model.model_config` for GPT-2."""

from typing import Literal

from pydantic import Field

from mindmlm.config.schema.network import NetworkConfig
from mindmlm.config.schema.types import Decay, PositiveInteger, PositiveNumber


class GPT2ModelConfig(NetworkConfig):
    """Shape and numerics of a GPT-2 decoder (Radford et al., 2019). Defaults are the 124M model's.

    Layer norms stand before each sub-layer, with one more at the end; positions are learned, and
    the head is the token embedding.
    """

    type: Literal["GPT2Config"] = Field(default="GPT2Config", description="Kind of network.")
    hidden_act: Literal["gelu", "gelu_tanh", "relu"] = Field(
        default="gelu_tanh", description="Activation; GPT-2 uses the tanh form of GELU."
    )
    embedding_dropout_prob: Decay = Field(default=0.1, description="Dropout after the embeddings.")
    max_position_embeddings: PositiveInteger = Field(
        default=1024, description="Longest row the model can read, in tokens."
    )
    layer_norm_eps: PositiveNumber = Field(default=1e-5, description="Epsilon of every layer norm.")
