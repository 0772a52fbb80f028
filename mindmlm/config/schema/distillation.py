"""Section `distillation`: a small model that learns from a large one."""

from typing import Annotated

from annotated_types import MinLen
from pydantic import Field

from mindmlm.config.schema.base import Section
from mindmlm.config.schema.types import Boolean, Count, NonNegativeNumber, PositiveNumber


class DistillationConfig(Section):
    """DistilBERT's way (Sanh et al., 2019): the loss is a weighted sum of three means."""

    teacher: str = Field(
        default="",
        description="`DistillationTrainer`: the checkpoint to learn from, as in `load_checkpoint`: "
        "a run of ours, a folder or file of another library, or a name in `$MINDMLM_HOME`.",
    )
    teacher_layers: Annotated[list[Count], MinLen(1)] | None = Field(
        default=None,
        description="Layers of the teacher, from 0, that the student's layers start from; its "
        "embeddings and head are taken over too. null = the student starts from random weights.",
    )
    temperature: PositiveNumber = Field(
        default=2.0, description="Both models' logits are divided by it before they are compared."
    )
    alpha_ce: NonNegativeNumber = Field(
        default=5.0,
        description="Weight of temperature^2 x KL(teacher, student), the mean over tokens.",
    )
    alpha_mlm: NonNegativeNumber = Field(
        default=2.0, description="Weight of the masked-language-model loss of the student."
    )
    alpha_cos: NonNegativeNumber = Field(
        default=1.0,
        description="Weight of 1 - cosine of the two last hidden states, the mean over tokens. "
        "Needs models of one `hidden_size`; 0 = none.",
    )
    restrict_ce_to_mask: Boolean = Field(
        default=False,
        description="True: the models are compared at the predicted positions only, which needs "
        "less time and memory. False: at every token.",
    )
    freeze_position_embeddings: Boolean = Field(
        default=False,
        description="True: the student's position embeddings stay as they start, as with "
        "`--freeze_pos_embs` of DistilBERT's program.",
    )
