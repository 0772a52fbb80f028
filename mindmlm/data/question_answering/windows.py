"""Windows over a context that is longer than a row, and where an answer lies in them."""

import numpy as np


def window_bounds(tokens: int, room: int, overlap: int) -> list[tuple[int, int]]:
    """Return first token and the one behind the last of each window.

    As `tokenizers` makes them with `truncation="only_second"` and `stride=overlap`: each window
    begins ``room - overlap`` tokens after the one before, and the first one that reaches the end is
    the last.

    Args:
        tokens: of the context; without any there is one empty window.
        room: tokens that fit into a window.
        overlap: tokens that two neighbours share, fewer than ``room``.
    """
    step = room - overlap
    count = 1 + max(0, -(-(tokens - room) // step))
    return [(first * step, min(first * step + room, tokens)) for first in range(count)]


def token_span(begins: np.ndarray, ends: np.ndarray, start: int, stop: int) -> tuple[int, int]:
    """Return the tokens of the context that cover the characters ``start`` to ``stop``.

    They are the last token that begins at ``start`` or before it, and the first one that ends at
    ``stop`` or behind it (huggingface/transformers, examples/pytorch/question-answering/run_qa.py,
    `prepare_train_features`).

    Args:
        begins, ends: int [n] characters of each token, ascending.
        start, stop: first character and the one behind the last.

    Returns:
        First and last token; -1 and n where there is none.
    """
    first = int(np.searchsorted(begins, start, side="right")) - 1
    return first, int(np.searchsorted(ends, stop, side="left"))


def span_in_window(
    span: tuple[int, int] | None, window: tuple[int, int], before: int
) -> tuple[int, int]:
    """Return the columns of an answer in a row.

    Args:
        span: first and last token of the answer in the context; None = no answer.
        window: see `window_bounds`.
        before: columns before the context.

    Returns:
        (0, 0), the column of [CLS], where the window does not hold the whole answer.
    """
    if span is None or not window[0] <= span[0] <= span[1] < window[1]:
        return 0, 0
    return span[0] - window[0] + before, span[1] - window[0] + before
