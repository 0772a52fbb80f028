"""Section `model.model_config` for BERT."""

from typing import Literal

from pydantic import Field

from mindmlm.config.schema.network import NetworkConfig
from mindmlm.config.schema.types import Boolean, Decay, PositiveInteger


class BertModelConfig(NetworkConfig):
    """Shape and numerics of a BERT encoder (Devlin et al., 2019). Defaults are BERT-base's."""

    type: Literal["BertConfig"] = Field(default="BertConfig", description="Kind of network.")
    intermediate_size: PositiveInteger = Field(
        default=3072, description="Width of the feed-forward part."
    )
    hidden_dropout_prob: Decay = Field(
        default=0.1,
        description="Dropout after the embeddings, the attention output and the feed-forward.",
    )
    type_vocab_size: PositiveInteger = Field(default=2, description="Number of segment kinds.")
    post_layernorm_residual: Boolean = Field(
        default=True,
        description="True: layer norm after the residual sum, as in BERT. False: before each "
        "sub-layer (pre-layer-norm), with one more at the end.",
    )
    add_pooling_layer: Boolean = Field(
        default=False,
        description="Add the [CLS] pooler. Masked-language modelling does not train it; "
        "fine-tuning a classifier later wants it. BertForPreTraining has and trains it always.",
    )

    @property
    def head_act(self) -> str:
        """Activation of the masked-language-model head."""
        return self.hidden_act
