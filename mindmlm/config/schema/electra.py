"""Section `model.model_config` for ELECTRA, and section `electra`: the weights of its objective."""

from typing import Annotated, Literal

from annotated_types import Gt, Le
from pydantic import Field

from mindmlm.config.schema.base import Section
from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.config.schema.network import NetworkConfig
from mindmlm.config.schema.types import Decay, PositiveInteger, PositiveNumber

Part = Annotated[float, Gt(0), Le(1)]
# Columns of an attention head of the generator, as google-research/electra has them.
_GENERATOR_HEAD_SIZE = 64


class ElectraModelConfig(NetworkConfig):
    """Shape and numerics of ELECTRA (Clark et al., 2020). Defaults are ELECTRA-small's.

    `hidden_size` and so on are those of the discriminator, which is what training is for. The
    generator is the same network, narrower.
    """

    type: Literal["ElectraConfig"] = Field(default="ElectraConfig", description="Kind of network.")
    hidden_size: PositiveInteger = Field(
        default=256, description="Width of the network; a multiple of `num_attention_heads`."
    )
    num_attention_heads: PositiveInteger = Field(
        default=4, description="Attention heads of a layer."
    )
    intermediate_size: PositiveInteger = Field(
        default=1024, description="Width of the feed-forward part."
    )
    hidden_dropout_prob: Decay = Field(
        default=0.1,
        description="Dropout after the embeddings, the attention output and the feed-forward.",
    )
    type_vocab_size: PositiveInteger = Field(default=2, description="Number of segment kinds.")
    embedding_size: PositiveInteger = Field(
        default=128,
        description="ELECTRA: width of the embeddings, which generator and discriminator share. "
        "Where it is not the width of one of them, that one projects them.",
    )
    generator_hidden_size: Part = Field(
        default=0.25,
        description="ELECTRA: width of the generator as a part of `hidden_size` (small and large: "
        "1/4, base: 1/3), rounded. A head of its attention has 64 columns, its feed-forward part "
        "is four times as wide.",
    )
    generator_layers: Part = Field(
        default=1.0,
        description="ELECTRA: layers of the generator as a part of `num_hidden_layers`, rounded.",
    )

    def discriminator(self) -> BertModelConfig:
        """The layers of the discriminator, as those of a BERT."""
        names = set(NetworkConfig.model_fields) | {"type_vocab_size"}
        values = {name: getattr(self, name) for name in names - {"type"}}
        return BertModelConfig.model_validate(values)

    def generator(self) -> BertModelConfig:
        """The layers of the generator (google-research/electra, `get_generator_config`)."""
        hidden = max(1, round(self.hidden_size * self.generator_hidden_size))
        return self.discriminator().model_copy(
            update={
                "hidden_size": hidden,
                "num_hidden_layers": max(1, round(self.num_hidden_layers * self.generator_layers)),
                "num_attention_heads": max(1, hidden // _GENERATOR_HEAD_SIZE),
                "intermediate_size": 4 * hidden,
            }
        )


class ElectraObjectiveConfig(Section):
    """Replaced-token detection: what the two networks count, and how tokens are sampled."""

    gen_weight: PositiveNumber = Field(
        default=1.0, description="Weight of the generator's masked-language-model loss."
    )
    disc_weight: PositiveNumber = Field(
        default=50.0, description="Weight of the discriminator's loss."
    )
    temperature: PositiveNumber = Field(
        default=1.0,
        description="The generator's logits are divided by it before a token is sampled; 1 samples "
        "from its probabilities.",
    )
