"""Section `processor`: from characters to token ids and words."""

from typing import Annotated, Literal

from annotated_types import Ge
from pydantic import Field

from mindmlm.config.schema.base import Section
from mindmlm.config.schema.types import Boolean, Integer


class TokenizerConfig(Section):
    """The tokenizer and its vocabulary."""

    type: Literal["BertTokenizer", "GPT2Tokenizer", "RobertaTokenizer"] = Field(
        default="BertTokenizer",
        description="BertTokenizer: WordPiece, for BERT. GPT2Tokenizer: byte-level BPE, for GPT-2. "
        "RobertaTokenizer: the same with `<s>`, `</s>` and `<mask>`, for RoBERTa.",
    )
    vocab_file: str = Field(
        default="",
        description="The vocabulary, used unchanged: a `vocab.txt` (BertTokenizer), a `vocab.json` "
        "or `tokenizer.json` (the other two). Empty = one is trained on the training text and "
        "written to `output_dir`.",
    )
    merges_file: str = Field(
        default="",
        description="Byte-level BPE: the `merges.txt` that belongs to a `vocab.json`. Empty = the "
        "one beside it.",
    )
    do_lower_case: Boolean = Field(
        default=True,
        description="BertTokenizer: lower-case the text and strip accents, as the uncased BERT "
        "models do.",
    )
    train_vocab_size: Annotated[Integer, Ge(6)] = Field(
        default=8000,
        description="Entries of a vocabulary that is trained (at most, special ones included).",
    )


class ProcessorConfig(Section):
    """Tokenizer and word segmenter."""

    tokenizer: TokenizerConfig = Field(
        default_factory=TokenizerConfig, description="The tokenizer."
    )
    segmenter: Literal["jieba", "rjieba", "presegmented", "reference_file", "none"] = Field(
        default="jieba",
        description="Where Chinese words come from: `jieba`; `rjieba`, the same in Rust; "
        "`presegmented`, white space in the text; `reference_file`; `none`, every character is a "
        "word. ## groups are always kept together. RobertaTokenizer: always `none`; a word begins "
        "with a space (an ideograph is one).",
    )
    user_dict: str = Field(
        default="",
        description="Words for jieba or rjieba, one a line, as jieba's `load_userdict` reads them: "
        "word, frequency, tag. Empty = none.",
    )
    hmm: Boolean = Field(
        default=True,
        description="jieba and rjieba: find words that are in no dictionary, by a hidden Markov "
        "model.",
    )
    reference_file: str = Field(
        default="",
        description="For `segmenter: reference_file`: for every line of the training text a JSON "
        "list of the tokens, counted from [CLS] = 0, that continue a word.",
    )
