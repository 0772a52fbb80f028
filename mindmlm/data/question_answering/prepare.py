"""From a file of questions to a cached store of rows."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path

from tqdm import tqdm

from mindmlm.data.cache import cached_folder
from mindmlm.data.encoding import document_hash
from mindmlm.data.question_answering import report as notes
from mindmlm.data.question_answering.examples import Paragraph, Question, locate
from mindmlm.data.question_answering.reader import read_paragraphs
from mindmlm.data.question_answering.report import QuestionReport
from mindmlm.data.question_answering.store import (
    STORE_VERSION,
    UNKNOWN,
    Feature,
    QuestionStore,
    QuestionStoreWriter,
)
from mindmlm.data.question_answering.windows import span_in_window, token_span, window_bounds
from mindmlm.errors import DataError
from mindmlm.tokenizers.base import TokenizedText
from mindmlm.tokenizers.bert import BertTokenizer

# [CLS] question [SEP] context [SEP]
SPECIAL_TOKENS = 3
_CHUNK_CHARACTERS = 1 << 17
_HASH_RANGE = 1 << 64
_READ_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class FeatureSettings:
    """How questions become rows.

    Attributes:
        max_seq_length: columns of a row.
        doc_stride: tokens of the context that two neighbouring windows share.
        max_question_length: tokens of a question; what is longer is cut off.
    """

    max_seq_length: int = 384
    doc_stride: int = 128
    max_question_length: int = 64


@dataclass(frozen=True)
class QuestionJob:
    """Questions to prepare.

    Attributes:
        path: the file.
        tokenizer: of the model.
        settings: see `FeatureSettings`.
        num_samples: most questions read; None = all.
        for_training: leave out questions whose answer has no place.
        held_out: part of the paragraphs, chosen by a hash of their text, that is held out; this
            job reads them, or the others if it is for training. 0 = nothing is held out.
        progress: show a bar on standard error.
    """

    path: Path
    tokenizer: BertTokenizer
    settings: FeatureSettings
    num_samples: int | None = None
    for_training: bool = False
    held_out: float = 0.0
    progress: bool = False

    def prepare(self, cache_dir: Path) -> tuple[QuestionStore, QuestionReport]:
        """Return the rows, from the cache where the same file was prepared in the same way before.

        The tokenizer works on all cores; a few paragraphs are in memory at a time.

        Raises:
            DataError: a faulty file, or nothing in it that can be used.
        """
        folder = cached_folder(cache_dir, self._key(), self._build, _check)
        store = QuestionStore(folder)
        # The same contents may have been read under another name.
        return store, replace(QuestionReport.from_dict(store.facts), file=self.path.name)

    def _build(self, folder: Path) -> None:
        report = QuestionReport(self.path.name)
        with QuestionStoreWriter(folder, self.tokenizer.vocab_size) as writer:
            for chunk in self._chunks():
                self._add(chunk, writer, report)
            report.features = writer.num_samples
            if not writer.num_samples:
                raise DataError(f"{self.path}: {self._nothing(report)}")
            writer.finish(report.to_dict())

    def _nothing(self, report: QuestionReport) -> str:
        if self.held_out and not report.questions:
            return (
                "too few paragraphs to hold some out for evaluation; name a file of questions for "
                "it with --eval_dataset_dir"
            )
        reasons = [line.strip() for line in report.summary().split("\n")[1:]]
        return "; ".join(["no question can be used", *reasons])

    def _chunks(self) -> Iterator[list[Paragraph]]:
        chunk: list[Paragraph] = []
        characters = 0
        for paragraph in self._paragraphs():
            chunk.append(paragraph)
            characters += len(paragraph.context)
            if characters >= _CHUNK_CHARACTERS:
                yield chunk
                chunk, characters = [], 0
        if chunk:
            yield chunk

    def _paragraphs(self) -> Iterator[Paragraph]:
        """Yield the paragraphs of this job, up to `num_samples` questions."""
        left = self.num_samples
        with tqdm(unit=" questions", desc="reading questions", disable=not self.progress) as bar:
            for paragraph in read_paragraphs(self.path):
                if not self._is_mine(paragraph):
                    continue
                questions = paragraph.questions[:left]
                bar.update(len(questions))
                if questions:
                    yield Paragraph(paragraph.context, questions)
                left = None if left is None else left - len(questions)
                if left == 0:
                    return

    def _is_mine(self, paragraph: Paragraph) -> bool:
        if not self.held_out:
            return True
        held_out = document_hash([paragraph.context]) < self.held_out * _HASH_RANGE
        return held_out != self.for_training

    def _add(
        self, chunk: list[Paragraph], writer: QuestionStoreWriter, report: QuestionReport
    ) -> None:
        contexts = self.tokenizer.encode_batch([paragraph.context for paragraph in chunk])
        questions = [question for paragraph in chunk for question in paragraph.questions]
        ids = iter(self.tokenizer.encode_ids([question.text for question in questions]))
        for paragraph, tokens in zip(chunk, contexts, strict=True):
            report.paragraphs += 1
            writer.add_context(paragraph, tokens)
            for question in paragraph.questions:
                report.questions += 1
                question_ids = next(ids)
                if not len(question_ids):
                    report.note(notes.EMPTY, question.id)
                if len(question_ids) > self.settings.max_question_length:
                    report.note(notes.CUT, question.id)
                    question_ids = question_ids[: self.settings.max_question_length]
                span = self._span(paragraph, question, tokens, report)
                if span == (UNKNOWN, UNKNOWN) and self.for_training:
                    continue
                number = writer.add_question(question, question_ids)
                rows = self._features(number, len(question_ids), len(tokens.ids), span)
                for feature in rows:
                    writer.add_feature(feature)
                _count_places(rows, span, question, report)

    def _span(
        self,
        paragraph: Paragraph,
        question: Question,
        tokens: TokenizedText,
        report: QuestionReport,
    ) -> tuple[int, int] | None:
        """Return first and last token of the first answer; None = the question has no answer."""
        if not question.answers:
            report.note(notes.WITHOUT_ANSWER, question.id)
            return None
        answer = question.answers[0]
        place = locate(paragraph.context, answer)
        if place is None:
            what = notes.MISPLACED if answer.start is not None else notes.WITHOUT_OFFSET
            report.note(what, question.id)
            return UNKNOWN, UNKNOWN
        if place[0] != answer.start:
            report.note(notes.UTF16, question.id)
        return token_span(tokens.offsets[:, 0], tokens.offsets[:, 1], *place)

    def _features(
        self, question: int, question_tokens: int, tokens: int, span: tuple[int, int] | None
    ) -> list[Feature]:
        room = self.settings.max_seq_length - question_tokens - SPECIAL_TOKENS
        windows = window_bounds(tokens, room, self.settings.doc_stride)
        if span == (UNKNOWN, UNKNOWN):
            return [Feature(question, *window, UNKNOWN, UNKNOWN) for window in windows]
        before = question_tokens + SPECIAL_TOKENS - 1
        return [
            Feature(question, *window, *span_in_window(span, window, before)) for window in windows
        ]

    def _key(self) -> str:
        """Name the result: by the contents of the file, not by its place."""
        parts = {
            "format": STORE_VERSION,
            "contents": _digest(self.path),
            "tokenizer": self.tokenizer.fingerprint(),
            "tokenizers": metadata.version("tokenizers"),
            "settings": asdict(self.settings),
            "num_samples": self.num_samples,
            "for_training": self.for_training,
            "held_out": self.held_out,
        }
        text = json.dumps(parts, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _count_places(
    rows: list[Feature],
    span: tuple[int, int] | None,
    question: Question,
    report: QuestionReport,
) -> None:
    if span is None or span == (UNKNOWN, UNKNOWN):
        return
    without = sum(row.end == 0 for row in rows)
    report.features_without_place += without
    if without == len(rows):
        report.note(notes.NOT_IN_A_WINDOW, question.id)


def _digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    try:
        with path.open("rb") as file:
            while block := file.read(_READ_AT_ONCE):
                digest.update(block)
    except OSError as error:
        raise DataError(f"{path}: cannot read the questions: {error.strerror}") from None
    return digest.hexdigest()


def _check(folder: Path) -> None:
    try:
        QuestionReport.from_dict(QuestionStore(folder).facts)
    except (KeyError, TypeError) as error:
        raise DataError(f"{folder}: prepared data is incomplete or damaged: {error}") from None
