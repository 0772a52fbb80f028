"""Section `model.model_config` for RoBERTa."""

from typing import Literal

from pydantic import Field

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.config.schema.types import PositiveInteger, PositiveNumber


class RobertaModelConfig(BertModelConfig):
    """Shape and numerics of a RoBERTa encoder (Liu et al., 2019). Defaults are RoBERTa-base's.

    It is BERT's network. A row has one segment, and the first two positions are not used: fairseq
    counts from the id of <pad>, 1, plus one.
    """

    type: Literal["RobertaConfig"] = Field(  # type: ignore[assignment]
        default="RobertaConfig", description="Kind of network."
    )
    max_position_embeddings: PositiveInteger = Field(
        default=514, description="Longest row the model can read, in tokens, plus 2."
    )
    type_vocab_size: PositiveInteger = Field(default=1, description="Number of segment kinds.")
    layer_norm_eps: PositiveNumber = Field(default=1e-5, description="Epsilon of every layer norm.")

    @property
    def first_position(self) -> int:
        """The position of a row's first token: the id of <pad> plus 1."""
        return 2

    @property
    def head_act(self) -> str:
        """Activation of the head: `gelu`, whatever the layers have (fairseq, transformers)."""
        return "gelu"
