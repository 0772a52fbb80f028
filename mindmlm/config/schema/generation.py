"""Section `generation`: how a decoder goes on from a prompt."""

from typing import Annotated, Literal

from annotated_types import Gt, Le
from pydantic import BeforeValidator, Field

from mindmlm.config.schema.base import Section
from mindmlm.config.schema.types import (
    Boolean,
    Count,
    PositiveInteger,
    PositiveNumber,
    Seed,
    one_as_list,
)


def one_number_as_list(value: object) -> object:
    """Read a number by itself as a list of one."""
    return [value] if isinstance(value, int) and not isinstance(value, bool) else value


class GenerationConfig(Section):
    """How a text goes on after its prompt. Names and meanings are those of Hugging Face."""

    max_new_tokens: PositiveInteger = Field(
        default=64, description="Longest continuation, in tokens."
    )
    do_sample: Boolean = Field(
        default=False,
        description="True: draw each token by its probability. False: take the likeliest.",
    )
    temperature: PositiveNumber = Field(
        default=1.0,
        description="Sampling: logits are divided by it. Below 1 likely tokens win more often.",
    )
    top_k: Count = Field(
        default=50, description="Sampling: only this many likeliest tokens are drawn. 0 = all."
    )
    top_p: Annotated[float, Gt(0), Le(1)] = Field(
        default=1.0,
        description="Sampling: only the fewest likeliest tokens whose probabilities add up to "
        "this are drawn. 1 = all.",
    )
    repetition_penalty: PositiveNumber = Field(
        default=1.0,
        description="Logits of tokens that are in the text already are divided by it where they "
        "are positive and multiplied where negative (Keskar et al., 2019). 1 = no penalty.",
    )
    num_beams: PositiveInteger = Field(
        default=1, description="Beam search: continuations that are followed at a time. 1 = none."
    )
    length_penalty: float = Field(
        default=1.0,
        description="Beam search: the score of a finished text is divided by its length to this "
        "power. Above 0 favours long texts.",
    )
    early_stopping: Boolean | Literal["never"] = Field(
        default=False,
        description="Beam search: True stops when `num_beams` texts are finished; False when it "
        "is unlikely that a better one comes; never, when it is certain.",
    )
    num_return_sequences: PositiveInteger = Field(
        default=1,
        description="Continuations of each prompt; more than one needs sampling or beams.",
    )
    eos_token_id: Annotated[list[Count], BeforeValidator(one_number_as_list)] | None = Field(
        default=None,
        description="Tokens that end a text, a number or a list. null = the tokenizer's "
        "<|endoftext|>; [] = none, so that texts run to `max_new_tokens`.",
    )
    stop: Annotated[list[str], BeforeValidator(one_as_list)] = Field(
        default=[],
        description="Texts that end a continuation; it is cut before them. One or a list.",
    )
    seed: Seed = Field(
        default=42,
        description="Seed of the draws. A draw depends on it, the number of the text and the "
        "number of the token, not on the batch.",
    )
    stream: Boolean = Field(
        default=False,
        description="Show the text while it is written, on standard error; standard output holds "
        "the JSON alone. Not with beams, which change their minds.",
    )
