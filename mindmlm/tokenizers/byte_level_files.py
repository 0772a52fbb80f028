"""The files of a byte-level BPE vocabulary, read strictly."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mindmlm.errors import DataError
from mindmlm.tokenizers.byte_level_bpe import ByteLevelBpe, SpecialTokens
from mindmlm.tokenizers.byte_symbols import BYTE_SYMBOLS

_VERSION_MARK = "#version"
_SHOWN = 5


def read_vocab_and_merges(
    vocab_file: Path, merges_file: Path, special: SpecialTokens
) -> ByteLevelBpe:
    """Read a `vocab.json` (token -> id) and a `merges.txt` (two tokens a line).

    Args:
        vocab_file, merges_file: the files.
        special: tokens that the vocabulary must hold, the first ones with the first ids.

    Raises:
        DataError: see `ByteLevelTokenizer.from_files`.
    """
    ids = _read_json(vocab_file)
    vocab = _tokens_in_order(vocab_file, ids)
    merges = _read_merges(merges_file)
    _check_merges(merges_file, merges, set(vocab))
    _check_complete(vocab_file, vocab, special)
    return ByteLevelBpe(vocab, [pair for _, pair in merges])


def is_tokenizer_json(path: Path) -> bool:
    """Tell whether a file is a `tokenizer.json`: one object for vocabulary, merges and the rest.

    Raises:
        DataError: it cannot be read or is no JSON object.
    """
    return isinstance(_read_json(path).get("model"), dict)


def read_tokenizer_json(path: Path, special: SpecialTokens) -> ByteLevelBpe:
    """Read a `tokenizer.json` that Hugging Face's `tokenizers` wrote for a GPT-2 or a RoBERTa.

    Args:
        path: the file.
        special: see `read_vocab_and_merges`.

    Raises:
        DataError: see `ByteLevelTokenizer.from_tokenizer_json`.
    """
    content = _read_json(path)
    model = content.get("model")
    if not isinstance(model, dict) or model.get("type", "BPE") != "BPE":
        raise DataError(f"{path}: holds no BPE vocabulary, as GPT-2 and RoBERTa have")
    _check_rules(path, content, model)
    ids = dict(model.get("vocab") or {})
    for added in content.get("added_tokens") or []:
        ids.setdefault(added.get("content"), added.get("id"))
    vocab = _tokens_in_order(path, ids)
    merges = [
        (number, _pair(f"{path}: merge {number}", merge))
        for number, merge in enumerate(model.get("merges") or [], start=1)
    ]
    _check_merges(path, merges, set(vocab))
    _check_complete(path, vocab, special)
    return ByteLevelBpe(vocab, [pair for _, pair in merges])


def _check_rules(path: Path, content: dict[str, Any], model: dict[str, Any]) -> None:
    """Refuse what would divide a text in another way than GPT-2 does."""
    splitter = content.get("pre_tokenizer")
    is_usual = (
        isinstance(splitter, dict)
        and splitter.get("type") == "ByteLevel"
        and not splitter.get("add_prefix_space")
        and splitter.get("use_regex", True)
    )
    unusual = [
        name
        for name in ("continuing_subword_prefix", "end_of_word_suffix", "ignore_merges", "dropout")
        if model.get(name)
    ]
    if not is_usual:
        unusual.append("pre_tokenizer")
    if content.get("normalizer"):
        unusual.append("normalizer")
    if unusual:
        raise DataError(
            f"{path}: divides text in another way than GPT-2 ({', '.join(unusual)}), which "
            "byte-level tokenizers here do not do"
        )


def _read_text(path: Path, kind: str) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot read the {kind}: {error.strerror}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: not UTF-8 (byte {error.start}: {error.reason})") from None


def _read_json(path: Path) -> dict[str, Any]:
    text = _read_text(path, "vocabulary")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        place = getattr(error, "lineno", 1)
        raise DataError(
            f"{path}:{place}: no JSON ({error}); a byte-level vocabulary is a vocab.json or a "
            "tokenizer.json (a vocab.txt is BertTokenizer's)"
        ) from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected an object of tokens and ids")
    return content


def _tokens_in_order(path: Path, ids: dict[str, Any]) -> list[str]:
    for token, number in ids.items():
        if type(number) is not int or not isinstance(token, str):
            raise DataError(f"{path}: token {token!r} has the id {number!r}, not a whole number")
    vocab = sorted(ids, key=ids.__getitem__)
    for place, token in enumerate(vocab):
        if ids[token] != place:
            fault = (
                f"the id {ids[token]} stands twice, once for {token!r}"
                if ids[token] < place
                else f"no token has the id {place}"
            )
            raise DataError(f"{path}: {fault}; the ids must be 0 to {len(ids) - 1}, each once")
    return vocab


def _read_merges(path: Path) -> list[tuple[int, tuple[str, str]]]:
    """Return (line number, pair) of each merge."""
    lines = _read_text(path, "merges").split("\n")
    return [
        (number, _pair(f"{path}:{number}", line.removesuffix("\r")))
        for number, line in enumerate(lines, start=1)
        if line.strip("\r") and not line.startswith(_VERSION_MARK)
    ]


def _pair(place: str, merge: Any) -> tuple[str, str]:
    parts: Sequence[Any] = merge.split(" ") if isinstance(merge, str) else merge
    if not isinstance(parts, list) or len(parts) != 2 or not all(parts):
        raise DataError(f"{place}: expected two tokens with a space between them, got {merge!r}")
    left, right = map(str, parts)
    return left, right


def _check_merges(
    path: Path, merges: Iterable[tuple[int, tuple[str, str]]], vocab: set[str]
) -> None:
    seen: dict[tuple[str, str], int] = {}
    for number, pair in merges:
        missing = [token for token in (*pair, "".join(pair)) if token not in vocab]
        if missing:
            raise DataError(
                f"{path}:{number}: merge {' '.join(pair)!r} needs {missing[0]!r}, which the "
                "vocabulary does not hold; give the two files that belong together"
            )
        if pair in seen:
            raise DataError(
                f"{path}:{number}: merge {' '.join(pair)!r} stands already on line {seen[pair]}"
            )
        seen[pair] = number


def _check_complete(path: Path, vocab: list[str], special: SpecialTokens) -> None:
    tokens = set(vocab)
    missing = [symbol for symbol in BYTE_SYMBOLS.values() if symbol not in tokens]
    if missing:
        shown = " ".join(missing[:_SHOWN])
        raise DataError(
            f"{path}: {len(missing)} of the 256 bytes have no token ({shown} ...), so not every "
            "text could be spelled; this is no byte-level vocabulary"
        )
    absent = [token for token in special.all if token not in tokens]
    if absent:
        remedy = (
            "this may be a GPT-2's vocabulary; take the one of the RoBERTa"
            if special.first
            else f"add it with the next free id, {len(vocab)}, or take the one of the GPT-2"
        )
        raise DataError(
            f"{path}: has no {' '.join(absent)}, and processor.tokenizer.type needs "
            f"{' '.join(special.all)}; {remedy}"
        )
    found = vocab[: len(special.first)]
    if found != list(special.first):
        raise DataError(
            f"{path}: its first tokens are {' '.join(found)}; expected {' '.join(special.first)}, "
            "with the ids 0, 1, ..."
        )
