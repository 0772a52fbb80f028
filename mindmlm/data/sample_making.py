"""How the documents of a kind of tokenizer become samples: for masking, or for writing on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindmlm.data.blocks import FullSentenceSamples, LineSamples, PackedSamples, SampleMaker
from mindmlm.data.causal.blocks import CountedSamples, causal_samples
from mindmlm.data.packing import IsolatedSamples
from mindmlm.data.segmentation import DEFAULT_OPTIONS, SegmenterOptions, piece_groups
from mindmlm.data.sentence_pairs.samples import PairSamples
from mindmlm.data.sentence_pairs.sampling import SINGLE as NO_PAIRS
from mindmlm.data.sentence_pairs.store import PairSettings, PairStoreWriter
from mindmlm.data.store import BLOCKS, DOCUMENTS, SINGLE, TokenStoreWriter
from mindmlm.tokenizers.files import AnyTokenizer
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer

AnyWriter = TokenStoreWriter | PairStoreWriter


@dataclass(frozen=True)
class SampleSettings:
    """How text becomes samples.

    Attributes:
        sample_mode: "line", "packed" or, for masked rows, "full_sentences".
        max_seq_length: tokens of a row: with [CLS] and [SEP] and at least 3 for BERT; for GPT-2
            those that the model reads, a sample holds one more.
        segmenter: a name in `mindmlm.data.segmentation.SEGMENTERS`. Token masking and GPT-2 need no
            words: "none" is faster to prepare.
        segmenter_options: of jieba and rjieba.
        reference_file: word ids for the segmenter "reference_file".
        isolate_documents: BERT: "packed" keeps documents whole and apart, see `IsolatedSamples`.
            GPT-2's samples are the same either way; its batches keep documents apart.
        sentence_pairs: BERT: "nsp" or "sop" makes pairs of segments, see `PairStore`; then
            ``sample_mode`` is not looked at.
        short_seq_prob: of pairs, see `PairSettings`.
        workers: processes for input above 8 MB; no influence on the result.
    """

    sample_mode: str = "line"
    max_seq_length: int = 128
    segmenter: str = "none"
    segmenter_options: SegmenterOptions = DEFAULT_OPTIONS
    reference_file: str = ""
    workers: int = 2
    isolate_documents: bool = False
    sentence_pairs: str = NO_PAIRS
    short_seq_prob: float = 0.1


@dataclass(frozen=True)
class SampleForm:
    """What `SampleSettings` mean for a tokenizer.

    Attributes:
        settings: see there.
        tokenizer: of the documents.
    """

    settings: SampleSettings
    tokenizer: AnyTokenizer

    @property
    def row_form(self) -> str:
        """See `TokenStore`."""
        if isinstance(self.tokenizer, GPT2Tokenizer):
            return BLOCKS
        packed = self.settings.sample_mode == "packed"
        return DOCUMENTS if packed and self.settings.isolate_documents else SINGLE

    def writer(self, path: Path) -> AnyWriter:
        """Return what writes the samples of a store."""
        settings, vocab_size = self.settings, self.tokenizer.vocab_size
        if settings.sentence_pairs == NO_PAIRS:
            return TokenStoreWriter(path, vocab_size, self.row_form)
        pairs = PairSettings(
            settings.sentence_pairs, settings.max_seq_length, settings.short_seq_prob
        )
        return PairStoreWriter(path, vocab_size, pairs)

    def maker(self, writer: AnyWriter, for_evaluation: bool) -> SampleMaker:
        """Return what cuts documents into the samples of a store."""
        if isinstance(writer, PairStoreWriter):
            return PairSamples(writer, for_evaluation)
        if isinstance(self.tokenizer, GPT2Tokenizer):
            return self._causal_maker(writer, self.tokenizer, for_evaluation)
        block = self.settings.max_seq_length - 2
        if self.row_form == DOCUMENTS:
            return IsolatedSamples(writer, block, self.tokenizer.sep_id, self.tokenizer.cls_id)
        if self.settings.sample_mode == "packed":
            return PackedSamples(writer, block, self.tokenizer.sep_id)
        if self.settings.sample_mode == "full_sentences":
            return FullSentenceSamples(writer, block, self.tokenizer.sep_id)
        return LineSamples(writer, block)

    def evaluation_starts(self, tokens: np.ndarray, word_starts: np.ndarray) -> np.ndarray:
        """Return the word starts of a document for evaluation.

        Evaluation masks tokens; its samples must not depend on the segmenter.
        """
        if isinstance(self.tokenizer, GPT2Tokenizer):
            return word_starts
        return piece_groups(self.tokenizer.is_continuation[tokens])

    def _causal_maker(
        self, writer: TokenStoreWriter, tokenizer: GPT2Tokenizer, for_evaluation: bool
    ) -> SampleMaker:
        settings = self.settings
        maker = causal_samples(
            writer,
            settings.sample_mode,
            settings.max_seq_length,
            tokenizer.end_id,
            keep_rest=for_evaluation,
        )
        return CountedSamples(maker, writer, tokenizer) if for_evaluation else maker
