"""Other numbers of rows: a vocabulary with more tokens, more or fewer positions."""

from collections.abc import Callable, Sequence

import numpy as np

from mindmlm.conversion import report as kinds
from mindmlm.conversion.converted_model import ConvertedModel
from mindmlm.errors import CheckpointError
from mindmlm.tokenizers.vocab_extension import extend_rows, is_extension, pieces_of_new_tokens

VOCABULARY_ROWS = ("bert.embeddings.word", "head.bias")
POSITION_ROWS = ("bert.embeddings.position",)


def resize_vocabulary(
    model: ConvertedModel, old: Sequence[str], new: Sequence[str], from_pieces: bool
) -> ConvertedModel:
    """Return the model with a row for every token of a longer vocabulary.

    Args:
        model: whose rows belong to ``old``.
        old: the tokens it was trained with.
        new: the same, and more at the end.
        from_pieces: a new row is the mean of the rows of the pieces that the token was divided
            into before; else the mean of all rows of ``old``.

    Raises:
        CheckpointError: ``new`` does not begin with ``old``.
    """
    if not is_extension(old, new):
        raise CheckpointError(
            f"--resize_vocab: the new vocabulary must begin with the {len(old)} tokens of the old "
            "one, in their order, so that their ids stay; tools/build_vocab.py --extend makes one"
        )
    everything = np.arange(len(old))
    pieces = pieces_of_new_tokens(old, new) if from_pieces else [everything] * (len(new) - len(old))

    def rows(trained: np.ndarray) -> np.ndarray:
        initial = np.zeros((len(new), *trained.shape[1:]), np.float32)
        return extend_rows(trained, initial, len(old), pieces)

    note = f"{len(old)} -> {len(new)} rows, new ones from {'pieces' if from_pieces else 'the mean'}"
    return _resized(model, VOCABULARY_ROWS, len(new), rows, note)


def resize_positions(model: ConvertedModel, positions: int) -> ConvertedModel:
    """Return the model with another number of positions.

    Fewer: the first ones stay. More: new rows are the mean of the trained ones, which a model has
    to be trained on before it reads texts of that length.
    """
    old = model.shapes[POSITION_ROWS[0]][0]

    def rows(trained: np.ndarray) -> np.ndarray:
        mean = np.broadcast_to(trained.mean(axis=0), (max(0, positions - old), trained.shape[1]))
        return np.concatenate([trained[:positions], mean.astype(np.float32)])

    note = f"{old} -> {positions} rows" + (", new ones from the mean" if positions > old else "")
    return _resized(model, POSITION_ROWS, positions, rows, note)


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
