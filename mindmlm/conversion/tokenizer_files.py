"""The tokenizer of a folder: reading it, and writing it as transformers expects it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindmlm.config.schema.processor import TokenizerConfig
from mindmlm.conversion.json_files import read_json_object
from mindmlm.errors import CheckpointError
from mindmlm.tokenizers import roberta
from mindmlm.tokenizers.bert import (
    CLS,
    MASK,
    PAD,
    SEP,
    SPECIAL_TOKENS,
    UNK,
    BertTokenizer,
    read_vocab,
)
from mindmlm.tokenizers.bert import VOCAB_NAME as BERT_VOCAB_NAME
from mindmlm.tokenizers.byte_level import MERGES_NAME
from mindmlm.tokenizers.byte_level import VOCAB_NAME as BYTE_LEVEL_VOCAB_NAME
from mindmlm.tokenizers.byte_level_bpe import END_OF_TEXT
from mindmlm.tokenizers.files import (
    BERT,
    BYTE_LEVEL,
    GPT2,
    ROBERTA,
    AnyTokenizer,
    has_tokenizer,
    kind_of,
    load_tokenizer,
)

_TOKENIZER_NAME = "tokenizer.json"
_CONFIG_NAME = "tokenizer_config.json"
_SPECIAL_NAME = "special_tokens_map.json"
_ADDED_NAME = "added_tokens.json"


@dataclass(frozen=True)
class GivenTokenizer:
    """What is taken in place of what a folder holds; None and "" take the folder's.

    Attributes:
        vocab_file: a `vocab.txt` (BERT), a `vocab.json` or `tokenizer.json` (GPT-2, RoBERTa).
        merges_file: a `merges.txt` (GPT-2, RoBERTa), by default the one beside the vocabulary.
        do_lower_case: of BERT.
    """

    vocab_file: Path | None = None
    merges_file: Path | None = None
    do_lower_case: bool | None = None

    def check(self, kind: str) -> None:
        """Refuse what a kind of tokenizer has no use for.

        Raises:
            CheckpointError: something of the other kind is given.
        """
        if kind in BYTE_LEVEL and self.do_lower_case is not None:
            raise CheckpointError(f"--do_lower_case: {kind} leaves text as it is")
        if kind == BERT and self.merges_file:
            raise CheckpointError("--merges_file: BERT's tokenizer has no merges, only a vocab.txt")


# transformers' names of the special tokens of each kind of tokenizer.
_SPECIAL = {
    BERT: {
        "pad_token": PAD,
        "unk_token": UNK,
        "cls_token": CLS,
        "sep_token": SEP,
        "mask_token": MASK,
    },
    GPT2: dict.fromkeys(("bos_token", "eos_token", "unk_token"), END_OF_TEXT),
    ROBERTA: {
        "bos_token": roberta.BEGIN,
        "eos_token": roberta.END,
        "pad_token": roberta.PAD,
        "unk_token": roberta.UNK,
        "cls_token": roberta.BEGIN,
        "sep_token": roberta.END,
        "mask_token": roberta.MASK,
    },
}
NOTHING_GIVEN = GivenTokenizer()


@dataclass(frozen=True)
class TokenizerFiles:
    """The tokenizer of a model; `notes` says what was concluded from what."""

    tokenizer: AnyTokenizer
    notes: tuple[str, ...] = ()

    @property
    def tokens(self) -> list[str]:
        """Its vocabulary; the place is the id."""
        return self.tokenizer.vocab

    @property
    def kind(self) -> str:
        """Its kind, `processor.tokenizer.type`."""
        return kind_of(self.tokenizer)

    @property
    def do_lower_case(self) -> bool:
        """Whether texts are lowered for it."""
        return isinstance(self.tokenizer, BertTokenizer) and self.tokenizer.do_lower_case

    def fingerprint(self) -> str:
        """Return the fingerprint that a checkpoint carries."""
        return self.tokenizer.fingerprint()

    def another(self, vocab_file: Path, merges_file: Path | None = None) -> AnyTokenizer:
        """Return a tokenizer of the same kind with another vocabulary.

        Raises:
            DataError: a file is missing or faulty.
        """
        return load_tokenizer(
            TokenizerConfig(
                type=self.kind,  # type: ignore[arg-type]
                vocab_file=str(vocab_file),
                merges_file=str(merges_file or ""),
                do_lower_case=self.do_lower_case,
            )
        )


def read_tokenizer(
    folder: Path, kind: str | None = None, given: GivenTokenizer = NOTHING_GIVEN
) -> TokenizerFiles | None:
    """Return the tokenizer in ``folder``, or None when there is none.

    Args:
        folder: with `vocab.txt`, or `vocab.json` and `merges.txt`, or `tokenizer.json`, and perhaps
            `tokenizer_config.json`.
        kind: BertTokenizer, GPT2Tokenizer or RobertaTokenizer; None to go by the files.
        given: what is taken in place of the folder's.

    Raises:
        CheckpointError: `tokenizer.json` holds no vocabulary of the kind, or something of the other
            kind is given.
        DataError: the vocabulary is damaged.
    """
    kind = kind or _kind_of(folder, given.vocab_file)
    given.check(kind)
    if kind in BYTE_LEVEL:
        return _read_byte_level(folder, kind, given)
    return _read_bert(folder, given)


def _kind_of(folder: Path, vocab_file: Path | None) -> str:
    if vocab_file is None and has_tokenizer(folder, GPT2):
        vocab_file = folder / BYTE_LEVEL_VOCAB_NAME
    if vocab_file is None or vocab_file.suffix != ".json":
        return BERT
    return ROBERTA if _has_masks(vocab_file) else GPT2


def _has_masks(path: Path) -> bool:
    """Tell whether a vocab.json or tokenizer.json has RoBERTa's special tokens."""
    content = read_json_object(path)
    model = content.get("model")
    vocab = model.get("vocab") if isinstance(model, dict) else content
    return isinstance(vocab, dict) and all(token in vocab for token in roberta.OF_ROBERTA.all)


def _read_byte_level(folder: Path, kind: str, given: GivenTokenizer) -> TokenizerFiles | None:
    files = [folder / BYTE_LEVEL_VOCAB_NAME, folder / _TOKENIZER_NAME]
    if not (folder / MERGES_NAME).is_file() and not given.merges_file:
        files = files[1:]
    vocab_file = given.vocab_file or next((path for path in files if path.is_file()), None)
    if vocab_file is None:
        return None
    section = TokenizerConfig(
        type=kind,  # type: ignore[arg-type]
        vocab_file=str(vocab_file),
        merges_file=str(given.merges_file or ""),
    )
    notes = []
    if _settings(folder).get("add_prefix_space"):
        notes.append(f"{_CONFIG_NAME} sets add_prefix_space, which the tokenizer here does not do")
    if vocab_file.name == BYTE_LEVEL_VOCAB_NAME and (folder / _ADDED_NAME).is_file():
        notes.append(f"the tokens of {_ADDED_NAME} are left out; their rows stay in the model")
    return TokenizerFiles(load_tokenizer(section), tuple(notes))


def _read_bert(folder: Path, given: GivenTokenizer) -> TokenizerFiles | None:
    tokens = _wordpieces(folder, given.vocab_file)
    if tokens is None:
        return None
    settings = _settings(folder)
    notes = [
        f"{_CONFIG_NAME} sets {key}: {settings[key]}, which the tokenizer here does not do"
        for key, usual in (("strip_accents", None), ("tokenize_chinese_chars", True))
        if settings.get(key, usual) != usual
    ]
    lower = settings.get("do_lower_case") if given.do_lower_case is None else given.do_lower_case
    if not isinstance(lower, bool):
        capitals = any(
            t != t.lower() for t in tokens if not (t.startswith("[") and t.endswith("]"))
        )
        lower = not capitals
        seen = "has" if capitals else "has no"
        notes.append(f"do_lower_case {lower}: not given, and the vocabulary {seen} capital letters")
    return TokenizerFiles(BertTokenizer(tokens, lower), tuple(notes))


def _wordpieces(folder: Path, vocab_file: Path | None) -> list[str] | None:
    path = vocab_file or folder / BERT_VOCAB_NAME
    if vocab_file or path.is_file():
        return read_vocab(path)
    if not (folder / _TOKENIZER_NAME).is_file():
        return None
    path = folder / _TOKENIZER_NAME
    model = read_json_object(path).get("model")
    vocab = model.get("vocab") if isinstance(model, dict) else None
    if (
        not isinstance(model, dict)
        or model.get("type") != "WordPiece"
        or not isinstance(vocab, dict)
    ):
        raise CheckpointError(f"{path}: holds no WordPiece vocabulary; name one with --vocab_file")
    if sorted(vocab.values(), key=str) != sorted(range(len(vocab)), key=str):
        raise CheckpointError(f"{path}: the ids of its vocabulary are not 0, 1, 2, ...")
    tokens = sorted(vocab, key=lambda token: vocab[token])
    missing = [token for token in SPECIAL_TOKENS if token not in vocab]
    if missing:
        raise CheckpointError(f"{path}: {', '.join(missing)} missing in its vocabulary")
    return tokens


def tokenizer_keys(files: TokenizerFiles) -> dict[str, Any]:
    """Return what a tokenizer means for `processor.tokenizer`: key -> value."""
    keys: dict[str, Any] = {"type": files.kind, "train_vocab_size": len(files.tokens)}
    if files.kind == BERT:
        keys["do_lower_case"] = files.do_lower_case
    return keys


def _settings(folder: Path) -> dict[str, Any]:
    if (folder / _CONFIG_NAME).is_file():
        return read_json_object(folder / _CONFIG_NAME)
    return {}


def tokenizer_texts(files: TokenizerFiles, max_length: int, kind: str) -> dict[str, str]:
    """Return the files that transformers' tokenizer of class ``kind`` reads: name -> content."""
    special = _SPECIAL[files.kind]
    settings: dict[str, Any] = {"add_prefix_space": False}
    if files.kind == BERT:
        settings = {
            "do_lower_case": files.do_lower_case,
            "strip_accents": None,
            "tokenize_chinese_chars": True,
        }
    settings |= {"tokenizer_class": kind, "model_max_length": max_length, **special}
    return {
        **files.tokenizer.texts(),
        _CONFIG_NAME: json.dumps(settings, indent=2, ensure_ascii=False) + "\n",
        _SPECIAL_NAME: json.dumps(special, indent=2) + "\n",
    }
