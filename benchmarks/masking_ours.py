"""Worker: masked batches of a strategy by ours, from the store on disk to the arrays."""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.masking_rows import parse_arguments, samples, vocabulary
from benchmarks.worker import serve
from mindmlm.data.batches import BatchLayout, TrainBatches
from mindmlm.data.masking import MaskingSettings, VocabularyInfo
from mindmlm.data.masking.similar_words import SimilarWords
from mindmlm.data.sampler import GlobalOrder
from mindmlm.data.segmentation import piece_groups
from mindmlm.data.store import TokenStore, TokenStoreWriter
from mindmlm.tokenizers.bert import BertTokenizer


def main() -> None:
    """Write the store, serve."""
    options = parse_arguments()
    tokenizer = BertTokenizer(vocabulary())
    similar = None
    if options.strategy == "macbert":
        words = [np.array([n]) for n in range(5, tokenizer.vocab_size)]
        similar = SimilarWords(
            words, {n: [(n + k) % len(words) for k in range(1, 6)] for n in range(len(words))}
        )
    mixture = (("whole_word", 1.0), ("span", 1.0), ("ngram", 1.0))
    settings = MaskingSettings(options.strategy, similar_words=similar, mixture=mixture)
    with tempfile.TemporaryDirectory() as folder:
        with TokenStoreWriter(Path(folder) / "store", tokenizer.vocab_size) as writer:
            for ids in samples(options.sequence):
                writer.append(ids, piece_groups(tokenizer.is_continuation[ids]))
        store = TokenStore(Path(folder) / "store")
        batches = TrainBatches(
            store,
            GlobalOrder(store.num_samples, 0),
            settings,
            VocabularyInfo.from_tokenizer(tokenizer),
            BatchLayout(options.batch_size),
            options.sequence,
            seed=0,
        )
        step = 0

        def work() -> float:
            nonlocal step
            for _ in range(options.batches):
                batches.global_batch(step)
                step += 1
            return options.batches * options.batch_size

        serve(work, warm_up=1)


if __name__ == "__main__":
    main()
