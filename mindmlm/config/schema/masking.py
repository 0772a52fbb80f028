"""Section `train_dataset.masking`: which tokens are hidden, and what takes their place."""

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le
from pydantic import Field

from mindmlm.config.schema.base import Section
from mindmlm.config.schema.types import NonNegativeNumber, PositiveInteger, Probability

Rate = Annotated[float, Gt(0), Le(1)]


class MixtureConfig(Section):
    """Weights of the strategies for `strategy: mixture`; each row draws one of them."""

    token: NonNegativeNumber = Field(default=0.0, description="Weight of `token`.")
    rare_token: NonNegativeNumber = Field(default=0.0, description="Weight of `rare_token`.")
    whole_word: NonNegativeNumber = Field(default=0.0, description="Weight of `whole_word`.")
    span: NonNegativeNumber = Field(default=0.0, description="Weight of `span`.")
    token_span: NonNegativeNumber = Field(default=0.0, description="Weight of `token_span`.")
    ngram: NonNegativeNumber = Field(default=0.0, description="Weight of `ngram`.")
    macbert: NonNegativeNumber = Field(default=0.0, description="Weight of `macbert`.")


class SimilarWordsConfig(Section):
    """The words that `macbert` puts in place of others."""

    file: str = Field(
        default="",
        description="Word vectors in word2vec's text format, or a file of synonyms: the words of a "
        "line are similar to each other.",
    )
    antonym_file: str = Field(
        default="",
        description="Words of one line are never put in place of each other. Empty = none.",
    )
    max_similar: PositiveInteger = Field(
        default=5, description="Of word vectors: how many nearest words a word may become."
    )
    max_words: PositiveInteger = Field(
        default=30000, description="Of word vectors: only the first so many words are used."
    )


class MaskingConfig(Section):
    """The masked-language-model objective of BERT (Devlin et al., 2019) and its successors."""

    strategy: Literal[
        "token", "rare_token", "whole_word", "span", "token_span", "ngram", "macbert", "mixture"
    ] = Field(
        default="whole_word",
        description="`token` draws pieces; `rare_token` rare pieces more often (DistilBERT); "
        "`whole_word` words with all their pieces (## groups; "
        "Chinese words from `processor.segmenter`); `span` spans of 1 to 10 words (SpanBERT); "
        "`token_span` of 1 to 10 pieces; `ngram` 1 to 4 words; `macbert` the same, and similar "
        "words instead of [MASK]; `mixture` one of them for each row.",
    )
    masked_lm_prob: Rate = Field(
        default=0.15,
        description="Part of a row that is predicted: of its tokens; for `ngram` and `macbert` "
        "of its words.",
    )
    masked_lm_prob_end: Rate | None = Field(
        default=None,
        description="`masked_lm_prob` goes linearly to this rate. null = it stays.",
    )
    masked_lm_prob_steps: PositiveInteger | None = Field(
        default=None,
        description="... in so many steps, and stays there. null = the whole run.",
    )
    mask_prob: Probability = Field(
        default=0.8,
        description="Of the predicted tokens, the part replaced by [MASK] (`macbert`: by a similar "
        "word).",
    )
    random_prob: Probability = Field(
        default=0.1, description="... by a random token. What remains stays as it was."
    )
    unit: Literal["published", "piece", "word"] = Field(
        default="published",
        description="What one draw of [MASK], random or unchanged is made for. `published`: a "
        "piece; for `span` a span, for `macbert` a word.",
    )
    smoothing: NonNegativeNumber = Field(
        default=0.7,
        description="`rare_token`: a piece is chosen with a chance proportional to its number in "
        "the training text to the power of minus this; 0 = all alike.",
    )
    mixture: MixtureConfig = Field(
        default_factory=MixtureConfig, description="Weights for `strategy: mixture`."
    )
    term_file: str = Field(
        default="",
        description="Terms of your domain, one a line: each becomes one word and is chosen more "
        "often. Empty = none.",
    )
    term_weight: Annotated[float, Ge(1)] = Field(
        default=4.0,
        description="How many times as likely as another word a term is to be the next choice.",
    )
    similar_words: SimilarWordsConfig = Field(
        default_factory=SimilarWordsConfig, description="Words for `macbert`."
    )
