"""What the configurations of all networks have in common."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from mindmlm.config.schema.base import Section
from mindmlm.config.schema.types import Decay, PositiveInteger, PositiveNumber, Spellings

_DTYPES = Spellings(
    accepted={
        "fp32": "float32",
        "fp16": "float16",
        "bf16": "bfloat16",
    }
)


class NetworkConfig(Section):
    """Shape and numerics of a stack of Transformer layers."""

    type: str
    vocab_size: PositiveInteger | None = Field(
        default=None,
        description="Rows of the token embedding. null = the tokenizer's size; larger is allowed, "
        "smaller is an error.",
    )
    hidden_size: PositiveInteger = Field(
        default=768, description="Width of the network; a multiple of `num_attention_heads`."
    )
    num_hidden_layers: PositiveInteger = Field(default=12, description="Transformer layers.")
    num_attention_heads: PositiveInteger = Field(
        default=12, description="Attention heads of a layer."
    )
    intermediate_size: PositiveInteger | None = Field(
        default=None,
        description="Width of the feed-forward part. null = four times `hidden_size`.",
    )
    hidden_act: Literal["gelu", "gelu_tanh", "relu"] = Field(
        default="gelu",
        description="Activation: `gelu` is the exact form (erf), `gelu_tanh` the approximation "
        "of Google's first code and of GPT-2.",
    )
    hidden_dropout_prob: Decay = Field(
        default=0.1, description="Dropout after the attention output and the feed-forward."
    )
    attention_probs_dropout_prob: Decay = Field(
        default=0.1, description="Dropout of attention weights."
    )
    max_position_embeddings: PositiveInteger = Field(
        default=512, description="Longest row the model can read, in tokens."
    )
    initializer_range: PositiveNumber = Field(
        default=0.02, description="Standard deviation of the weights before training."
    )
    layer_norm_eps: PositiveNumber = Field(
        default=1e-12, description="Epsilon of every layer norm."
    )
    compute_dtype: Annotated[
        Literal["float32", "float16", "bfloat16"], BeforeValidator(_DTYPES)
    ] = Field(
        default="float32",
        description="Type of the matrix products. Weights, layer norms, softmax and loss stay "
        "float32. bfloat16 needs Ascend.",
    )

    @property
    def first_position(self) -> int:
        """The position, a row of its embedding, of a row's first token."""
        return 0

    @property
    def longest_row(self) -> int:
        """Tokens of the longest row the model can read."""
        return self.max_position_embeddings - self.first_position

    @property
    def inner_size(self) -> int:
        """Width of the feed-forward part."""
        return self.intermediate_size or 4 * self.hidden_size
