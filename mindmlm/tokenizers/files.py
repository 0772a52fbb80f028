"""Which tokenizer a configuration, a folder or another process means."""

from pathlib import Path
from typing import Any

from mindmlm.config.schema.processor import TokenizerConfig
from mindmlm.errors import DataError
from mindmlm.tokenizers.bert import VOCAB_NAME, BertTokenizer
from mindmlm.tokenizers.byte_level import MERGES_NAME, ByteLevelTokenizer
from mindmlm.tokenizers.byte_level import VOCAB_NAME as VOCAB_JSON_NAME
from mindmlm.tokenizers.byte_level_files import is_tokenizer_json
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer
from mindmlm.tokenizers.roberta import RobertaTokenizer

MaskingTokenizer = BertTokenizer | RobertaTokenizer
"""Those with a token that hides others."""
AnyTokenizer = MaskingTokenizer | GPT2Tokenizer
BERT, GPT2, ROBERTA = "BertTokenizer", GPT2Tokenizer.kind, RobertaTokenizer.kind
BYTE_LEVEL: dict[str, type[GPT2Tokenizer] | type[RobertaTokenizer]] = {
    GPT2: GPT2Tokenizer,
    ROBERTA: RobertaTokenizer,
}
"""Kind -> class of the tokenizers with merges."""

TOKENIZER_FILES: dict[str, tuple[str, ...]] = {
    BERT: (VOCAB_NAME,),
    **dict.fromkeys(BYTE_LEVEL, (VOCAB_JSON_NAME, MERGES_NAME)),
}
"""Kind -> the names of its files in a folder, that of the vocabulary first."""


def kind_of(tokenizer: AnyTokenizer) -> str:
    """Return `processor.tokenizer.type` of a tokenizer."""
    return tokenizer.kind if isinstance(tokenizer, ByteLevelTokenizer) else BERT


def load_tokenizer(section: TokenizerConfig) -> AnyTokenizer:
    """Read the files that ``processor.tokenizer`` names; ``vocab_file`` must not be empty.

    Raises:
        DataError: a file is missing or faulty.
    """
    vocab_file = Path(section.vocab_file)
    if section.type == BERT:
        return BertTokenizer.from_vocab_file(vocab_file, section.do_lower_case)
    byte_level = BYTE_LEVEL[section.type]
    if section.merges_file:
        return byte_level.from_files(vocab_file, Path(section.merges_file))
    if is_tokenizer_json(vocab_file):
        return byte_level.from_tokenizer_json(vocab_file)
    beside = vocab_file.with_name(MERGES_NAME)
    if not beside.is_file():
        raise DataError(
            f"{vocab_file}: there is no {MERGES_NAME} beside it; name its merges with --merges_file"
        )
    return byte_level.from_files(vocab_file, beside)


def load_tokenizer_from(folder: Path, section: TokenizerConfig) -> AnyTokenizer:
    """Read the files that a run of the same kind of tokenizer keeps in ``folder``.

    Raises:
        DataError: a file is missing or faulty.
    """
    names = TOKENIZER_FILES[section.type]
    named = {"vocab_file": str(folder / names[0]), "merges_file": ""}
    if section.type in BYTE_LEVEL:
        named["merges_file"] = str(folder / MERGES_NAME)
    return load_tokenizer(section.model_copy(update=named))


def has_tokenizer(folder: Path, kind: str) -> bool:
    """Tell whether all files of a kind of tokenizer lie in ``folder``."""
    return all((folder / name).is_file() for name in TOKENIZER_FILES[kind])


def tokenizer_from_setup(setup: dict[str, Any]) -> AnyTokenizer:
    """Rebuild a tokenizer in another process from what its ``setup()`` returned there."""
    if setup["type"] == BERT:
        return BertTokenizer(setup["vocab"], setup["do_lower_case"])
    return BYTE_LEVEL[setup["type"]](setup["vocab"], setup["merges"])
