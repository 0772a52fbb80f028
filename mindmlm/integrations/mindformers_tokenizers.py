"""Our tokenizers as `build_tokenizer` of MindFormers makes them."""

from typing import ClassVar

from mindmlm.config.schema import TokenizerConfig
from mindmlm.tokenizers.files import AnyTokenizer, load_tokenizer


class _Registered:
    """Made from the keys of `processor.tokenizer`; gives one of our tokenizers."""

    kind: str
    # MindFormers asks whether a vocabulary can be downloaded by name; it cannot.
    vocab_files_names: ClassVar[dict[str, str]] = {}

    def __new__(cls, **keys: object) -> AnyTokenizer:  # type: ignore[misc]
        """Load the tokenizer.

        Raises:
            pydantic.ValidationError: a key that there is not.
            DataError: the vocabulary is missing or faulty.
        """
        return load_tokenizer(TokenizerConfig.model_validate({"type": cls.kind, **keys}))


class RegisteredBertTokenizer(_Registered):
    """WordPiece: vocab_file, do_lower_case."""

    kind = "BertTokenizer"


class RegisteredGPT2Tokenizer(_Registered):
    """Byte-level BPE: vocab_file, merges_file."""

    kind = "GPT2Tokenizer"


TOKENIZERS = {kind.kind: kind for kind in (RegisteredBertTokenizer, RegisteredGPT2Tokenizer)}
