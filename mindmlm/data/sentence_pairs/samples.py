"""From encoded documents to a store of pairs."""

from collections.abc import Sequence

import numpy as np

from mindmlm.data.sentence_pairs.store import PairStoreWriter
from mindmlm.errors import DataError


class PairSamples:
    """Hands documents to a store of pairs; see `mindmlm.data.blocks.SampleMaker`.

    Args:
        writer: takes the documents.
        for_evaluation: what was held out of a small text may have no second segment.
    """

    def __init__(self, writer: PairStoreWriter, for_evaluation: bool) -> None:
        self._writer = writer
        self._for_evaluation = for_evaluation

    def add(self, tokens: np.ndarray, word_starts: np.ndarray, lengths: Sequence[int]) -> None:
        """Take one document: its tokens [n], word starts [n] and the tokens of each line."""
        self._writer.add(tokens, word_starts, lengths)

    def finish(self) -> int:
        """Nothing is held back or left out.

        Raises:
            DataError: no document has two segments, so that no pair could belong together.
        """
        if self._writer.most_segments == 1 and not self._for_evaluation:
            raise DataError(
                "train_dataset.sentence_pairs needs documents of several lines (sentences), and "
                "here every document is one line: use train_dataset.data_loader.text_format "
                "document (blank lines between documents), or add `sentences` to "
                "train_dataset.data_loader.cleaning, which makes a line of each sentence"
            )
        return 0
