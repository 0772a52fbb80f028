"""Section `metric`: how answers are chosen and judged."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from mindmlm.config.schema.base import Section
from mindmlm.config.schema.types import PositiveInteger, Spellings

_VERSIONS = Spellings(
    accepted={
        "v1.1": "squad",
        "squad_v1": "squad",
        "v2.0": "squad_v2",
        "cmrc": "cmrc2018",
    }
)


class MetricConfig(Section):
    """Question answering: which answers come into question, and how they are compared."""

    version: Annotated[Literal["squad", "squad_v2", "cmrc2018"], BeforeValidator(_VERSIONS)] = (
        Field(
            default="squad",
            description="Whose rules: `squad` (v1.1), words; `squad_v2`, where there may be no "
            "answer; `cmrc2018`, characters, for Chinese.",
        )
    )
    n_best_size: PositiveInteger = Field(
        default=20,
        description="Beginnings and ends looked at in a window, and answers kept of a question.",
    )
    max_answer_length: PositiveInteger = Field(default=30, description="Longest answer, in tokens.")
    null_score_diff_threshold: float = Field(
        default=0.0,
        description="`squad_v2`: how much more than the best answer no answer has to score to be "
        "given.",
    )
    top_k: PositiveInteger = Field(
        default=1,
        description="Answers that `predict` gives to a question, best first; at most "
        "`n_best_size`.",
    )
