"""The tokenizer, its files, and the network that reads its tokens."""

from collections.abc import Iterator
from pathlib import Path

from mindmlm.config.problems import Problem
from mindmlm.config.schema import RunConfig

_SECTION = "processor.tokenizer"
_TOKENIZERS = {
    "BertConfig": "BertTokenizer",
    "RobertaConfig": "RobertaTokenizer",
    "GPT2Config": "GPT2Tokenizer",
    "ElectraConfig": "BertTokenizer",
}
# Special tokens of byte-level vocabularies.
_SPECIAL = {
    "GPT2Tokenizer": ("<|endoftext|>",),
    "RobertaTokenizer": ("<s>", "<pad>", "</s>", "<unk>", "<mask>"),
}
_BYTES = 256


def tokenizer_fits_network(config: RunConfig) -> Iterator[Problem]:
    """A network knows the special tokens of one kind of tokenizer."""
    network, found = config.model.settings.type, config.processor.tokenizer.type
    needed = _TOKENIZERS[network]
    if found != needed:
        yield Problem(
            f"{_SECTION}.type",
            f"model.model_config.type is {network}, which reads the tokens of {needed}, not of "
            f"{found}; set {_SECTION}.type: {needed}",
        )


def merges_are_used(config: RunConfig) -> Iterator[Problem]:
    """Merges belong to a byte-level vocabulary that is given as well."""
    section = config.processor.tokenizer
    if not section.merges_file:
        return
    if section.type not in _SPECIAL:
        yield Problem(
            f"{_SECTION}.merges_file", f"{section.type} has no merges; remove it (--merges_file)"
        )
    elif not section.vocab_file:
        yield Problem(
            f"{_SECTION}.vocab_file",
            f"merges_file {section.merges_file} is given without the vocabulary it belongs to; "
            "add --vocab_file vocab.json",
        )
    if not _is_file(section.merges_file):
        yield Problem(f"{_SECTION}.merges_file", f"{section.merges_file}: no such file")


def trained_vocabulary_has_room(config: RunConfig) -> Iterator[Problem]:
    """Byte-level BPE has a token for every byte before it merges any."""
    section = config.processor.tokenizer
    special = _SPECIAL.get(section.type, ())
    if section.vocab_file or not special:
        return
    least = _BYTES + len(special)
    if section.train_vocab_size < least:
        yield Problem(
            f"{_SECTION}.train_vocab_size",
            f"{section.train_vocab_size} is less than the 256 bytes and {' '.join(special)}; at "
            f"least {least}",
        )


def _is_file(name: str) -> bool:
    """Return whether a file is there; False for a name that the system cannot have."""
    try:
        return Path(name).is_file()
    except OSError:
        return False
