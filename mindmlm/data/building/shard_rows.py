"""What the documents of a shard become: rows with masks, rows to be masked, or blocks."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from mindmlm.data.building.columns import ColumnMaker
from mindmlm.data.building.encoded import EncodedDocuments
from mindmlm.data.building.sampling import sample_rows
from mindmlm.data.building.settings import BuildSettings
from mindmlm.data.causal.record_blocks import block_columns, blocks_of_documents
from mindmlm.data.masking import VocabularyInfo
from mindmlm.data.records.rows import CAUSAL, Columns
from mindmlm.tokenizers.files import AnyTokenizer, MaskingTokenizer


class ShardRows(Protocol):
    """Makes the rows of a shard."""

    def of(self, documents: EncodedDocuments, shard: int) -> tuple[int, Iterator[Columns]]:
        """Return how many rows the documents of a shard give, and their columns.

        Args:
            documents: of the shard.
            shard: a number that no other shard of the data set has.
        """


def shard_rows(settings: BuildSettings, tokenizer: AnyTokenizer) -> ShardRows:
    """Return what makes the rows that settings ask for.

    Raises:
        ValueError: the form of the rows is not one of the tokenizer's.
    """
    if (settings.form == CAUSAL) == isinstance(tokenizer, MaskingTokenizer):
        raise ValueError(f"{type(tokenizer).__name__} has no {settings.form} rows")
    if isinstance(tokenizer, MaskingTokenizer):
        return MaskedShards(settings, tokenizer)
    return CausalShards(settings, tokenizer.end_id)


@dataclass(frozen=True)
class MaskedShards:
    """Rows for BERT, in a random order, with one pass or several over the documents."""

    settings: BuildSettings
    tokenizer: MaskingTokenizer

    def of(self, documents: EncodedDocuments, shard: int) -> tuple[int, Iterator[Columns]]:
        """See `ShardRows`."""
        settings = self.settings
        passes = [
            sample_rows(
                documents,
                settings.sentence_pairs,
                settings.max_seq_length,
                settings.short_seq_prob,
                (settings.random_seed, shard, number_of_pass),
            )
            for number_of_pass in range(settings.dupe_factor)
        ]
        maker = ColumnMaker(
            settings.form,
            settings.max_seq_length,
            settings.masking,
            VocabularyInfo.from_tokenizer(self.tokenizer),
            settings.random_seed,
        )
        return sum(map(len, passes)), maker.batches(documents, passes, shard)


@dataclass(frozen=True)
class CausalShards:
    """Blocks for GPT-2, in the order of the text: a run shuffles them itself."""

    settings: BuildSettings
    end_id: int

    def of(self, documents: EncodedDocuments, shard: int) -> tuple[int, Iterator[Columns]]:
        """See `ShardRows`."""
        settings = self.settings
        blocks = blocks_of_documents(
            documents, settings.sample_mode, settings.max_seq_length, self.end_id
        )
        return len(blocks), block_columns(blocks)
