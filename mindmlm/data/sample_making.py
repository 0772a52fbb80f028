"""How the documents of a kind of tokenizer become samples: for masking, or for writing on."""

from dataclasses import dataclass

import numpy as np

from mindmlm.data.blocks import FullSentenceSamples, LineSamples, PackedSamples, SampleMaker
from mindmlm.data.causal.blocks import CountedSamples, causal_samples
from mindmlm.data.packing import IsolatedSamples
from mindmlm.data.segmentation import DEFAULT_OPTIONS, SegmenterOptions, piece_groups
from mindmlm.data.store import BLOCKS, DOCUMENTS, SINGLE, TokenStoreWriter
from mindmlm.tokenizers.files import AnyTokenizer
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer


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
        workers: processes for input above 8 MB; no influence on the result.
    """

    sample_mode: str = "line"
    max_seq_length: int = 128
    segmenter: str = "none"
    segmenter_options: SegmenterOptions = DEFAULT_OPTIONS
    reference_file: str = ""
    workers: int = 2
    isolate_documents: bool = False


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

    def maker(self, writer: TokenStoreWriter, for_evaluation: bool) -> SampleMaker:
        """Return what cuts documents into the samples of a store."""
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
