"""Other numbers of rows: a vocabulary with more tokens, more or fewer positions."""

from collections.abc import Callable, Sequence

import numpy as np

from mindmlm.conversion import report as kinds
from mindmlm.conversion.architectures import architecture_with
from mindmlm.conversion.converted_model import ConvertedModel
from mindmlm.errors import CheckpointError
from mindmlm.tokenizers.byte_level import ByteLevelTokenizer
from mindmlm.tokenizers.files import AnyTokenizer
from mindmlm.tokenizers.vocab_extension import extend_rows, is_extension, pieces_of_new_tokens


def is_longer(old: AnyTokenizer, new: AnyTokenizer) -> bool:
    """Return whether ``new`` begins with the tokens of ``old``, and with its merges if it has any.

    Then the ids of ``old`` mean the same in both.
    """
    if type(old) is not type(new):
        return False
    if isinstance(old, ByteLevelTokenizer) and isinstance(new, ByteLevelTokenizer):
        merges = new.merges[: len(old.merges)] == old.merges
        return merges and is_extension(old.vocab, new.vocab)
    return is_extension(old.vocab, new.vocab)


def resize_vocabulary(
    model: ConvertedModel, old: AnyTokenizer, new: AnyTokenizer, from_pieces: bool
) -> ConvertedModel:
    """Return the model with a row for every token of a longer vocabulary.

    Args:
        model: whose rows belong to ``old``.
        old: the tokenizer it was trained with.
        new: the same, with more tokens at the end.
        from_pieces: a new row is the mean of the rows of the pieces that the token was divided
            into before; else the mean of all rows of ``old``.

    Raises:
        CheckpointError: ``new`` does not begin with ``old``.
    """
    before, after = old.vocab_size, new.vocab_size
    if not is_longer(old, new):
        raise CheckpointError(
            f"--resize_vocab: the new vocabulary must begin with the {before} tokens of the old "
            "one (and its merges), in their order, so that their ids stay; tools/build_vocab.py "
            "--extend makes one for BERT"
        )
    everything = np.arange(before)
    pieces = _pieces(old, new) if from_pieces else [everything] * (after - before)

    def rows(trained: np.ndarray) -> np.ndarray:
        initial = np.zeros((after, *trained.shape[1:]), np.float32)
        return extend_rows(trained, initial, before, pieces)

    note = f"{before} -> {after} rows, new ones from {'pieces' if from_pieces else 'the mean'}"
    names = architecture_with(model.shapes).vocabulary_rows
    return _resized(model, names, after, rows, note)


def _pieces(old: AnyTokenizer, new: AnyTokenizer) -> list[np.ndarray]:
    """Return the old ids that each token behind the end of ``old`` was written with."""
    if isinstance(old, ByteLevelTokenizer) and isinstance(new, ByteLevelTokenizer):
        return [_byte_pieces(old, token) for token in new.token_bytes[old.vocab_size :]]
    return pieces_of_new_tokens(old.vocab, new.vocab)


def _byte_pieces(old: ByteLevelTokenizer, token: bytes) -> np.ndarray:
    """Return the ids of a token's text; of its bytes one by one where they are no whole text."""
    try:
        return old.encode_ids([token.decode("utf-8")])[0]
    except UnicodeDecodeError:
        single = {value: place for place, value in enumerate(old.token_bytes) if len(value) == 1}
        return np.array([single[bytes([byte])] for byte in token])


def resize_positions(model: ConvertedModel, positions: int) -> ConvertedModel:
    """Return the model with another number of positions.

    Fewer: the first ones stay. More: new rows are the mean of the trained ones, which a model has
    to be trained on before it reads texts of that length.
    """
    names = architecture_with(model.shapes).position_rows
    old = model.shapes[names[0]][0]

    def rows(trained: np.ndarray) -> np.ndarray:
        mean = np.broadcast_to(trained.mean(axis=0), (max(0, positions - old), trained.shape[1]))
        return np.concatenate([trained[:positions], mean.astype(np.float32)])

    note = f"{old} -> {positions} rows" + (", new ones from the mean" if positions > old else "")
    return _resized(model, names, positions, rows, note)


def _resized(
    model: ConvertedModel,
    names: Sequence[str],
    count: int,
    rows: Callable[[np.ndarray], np.ndarray],
    note: str,
) -> ConvertedModel:
    shapes = dict(model.shapes)
    for name in names:
        shapes[name] = (count, *shapes[name][1:])
        model.report.add(kinds.RESIZED, ours=name, note=note)

    def read(name: str) -> np.ndarray:
        array = model.read(name)
        return rows(array) if name in names else array

    return ConvertedModel(shapes, read, model.report)
