"""Text to blocks, against a statement of what they are in plain Python."""

import itertools
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data import corpus_job, encoding_pool
from mindmlm.data.causal import CausalEvalBatches, RowForm, causal_batch
from mindmlm.data.causal.blocks import causal_samples
from mindmlm.data.encoding import make_encoder
from mindmlm.data.prepare import (
    CorpusSettings,
    PreparedCorpus,
    prepare_corpus,
    prepare_evaluation,
)
from mindmlm.data.sample_making import SampleSettings
from mindmlm.data.sources.files import FileSource
from mindmlm.data.sources.options import ReadOptions
from mindmlm.data.store import BLOCKS, TokenStore
from mindmlm.data.text_size import TextCounter
from mindmlm.tokenizers.byte_level_bpe import train_byte_level_bpe
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer

TOKENIZER = GPT2Tokenizer.of_bpe(
    train_byte_level_bpe(["the cat sat on the mat", "今天天气很好，今天很好"] * 3, 280)
)
END = TOKENIZER.end_id
Blocks = list[list[int]]


def blocks_of(documents: Blocks, mode: str, width: int) -> Blocks:
    """The samples of documents: every one of them, the last short one included."""
    texts = [[END, *document, END] for document in documents]
    if mode == "packed":
        texts = [[END, *itertools.chain(*(text[1:] for text in texts))]]
    return [
        text[begin : begin + width + 1]
        for text in texts
        for begin in range(0, len(text) - 1, width)
    ]


class Collected:
    def __init__(self) -> None:
        self.samples: Blocks = []

    def append(self, tokens: np.ndarray) -> None:
        self.samples.append(tokens.tolist())


DOCUMENTS = st.lists(st.lists(st.integers(0, 200), min_size=1, max_size=40), max_size=12)


@settings(deadline=None)
@given(
    documents=DOCUMENTS,
    mode=st.sampled_from(["packed", "line"]),
    width=st.integers(1, 20),
    keep_rest=st.booleans(),
)
def test_blocks(documents: Blocks, mode: str, width: int, keep_rest: bool) -> None:
    found = Collected()
    maker = causal_samples(found, mode, width, END, keep_rest)
    for document in documents:
        maker.add(np.array(document, np.int32), np.zeros(0, np.bool_), [len(document)])
    dropped = maker.finish()
    expected = blocks_of(documents, mode, width)
    predicted = [token for block in expected for token in block[1:]]
    assert predicted == [token for document in documents for token in [*document, END]]
    has_rest = mode == "packed" and len(expected) > 1 and len(expected[-1]) <= width
    if has_rest and not keep_rest:
        assert dropped == len(expected.pop()) - 1
    else:
        assert dropped == 0
    assert found.samples == expected


def samples_of(store: TokenStore, width: int) -> Blocks:
    rows = np.full((store.num_samples, width + 1), -1, np.int32)
    store.fill(np.arange(store.num_samples), rows)
    return [[token for token in row if token >= 0] for row in rows.tolist()]


def text_file(path: Path, documents: list[str]) -> FileSource:
    path.write_text("\n\n".join(documents) + "\n", encoding="utf-8")
    return FileSource.of_paths(path, options=ReadOptions(text_format="document"))


def random_documents(seed: int, count: int) -> list[str]:
    rng = random.Random(seed)
    letters = "abcdefgh  今天好，é🙂\u3000"
    lines = ("".join(rng.choices(letters, k=rng.randrange(1, 60))).strip() for _ in range(count))
    return [f"d{line}\n{line}x" for line in lines]


def encoded(documents: list[str]) -> Blocks:
    return [ids.tolist() for ids in TOKENIZER.encode_ids(documents)]


@pytest.mark.parametrize("mode", ["packed", "line"])
def test_text_becomes_blocks(tmp_path: Path, mode: str) -> None:
    documents, others = random_documents(1, 80), random_documents(2, 9)
    form = SampleSettings(sample_mode=mode, max_seq_length=32)
    text = CorpusSettings(
        text_file(tmp_path / "train.txt", documents),
        text_file(tmp_path / "valid.txt", others),
        samples=form,
    )
    corpus = prepare_corpus(text, TOKENIZER, tmp_path / "cache")
    expected = blocks_of(encoded(documents), mode, 32)
    report = corpus.reports["training text"]
    if mode == "packed":
        rest = expected.pop()
        assert report.dropped_tokens == len(rest) - 1 > 0
        assert f"{len(rest) - 1} tokens at the end fill no block: left out" in report.summary()
    assert corpus.train.row_form == BLOCKS
    assert samples_of(corpus.train, 32) == expected
    assert samples_of(corpus.evaluation, 32) == blocks_of(encoded(others), mode, 32)
    assert corpus.reports["evaluation text"].dropped_tokens == 0
    assert corpus.train.text is None
    size = corpus.evaluation.text
    assert size is not None
    assert size.bytes == sum(len(text.encode()) for text in others)
    assert size.words == sum(len(text.split()) for text in others)
    again, _ = prepare_evaluation(text, TOKENIZER, tmp_path / "cache")
    assert (again.fingerprint, again.text) == (corpus.evaluation.fingerprint, size)


def test_held_out_documents_are_counted_and_kept_whole(tmp_path: Path) -> None:
    documents = random_documents(3, 120)
    text = CorpusSettings(
        text_file(tmp_path / "text.txt", documents),
        holdout_fraction=0.2,
        samples=SampleSettings("packed", 16),
    )
    corpus = prepare_corpus(text, TOKENIZER, tmp_path / "cache")
    assert corpus.evaluation.text is not None
    held = TOKENIZER.decode(predicted(corpus.evaluation, 16)).split("<|endoftext|>")[:-1]
    assert 5 < len(held) < 60
    assert set(held) < set(documents)
    assert corpus.evaluation.text.bytes == sum(len(text.encode()) for text in held)
    assert corpus.evaluation.text.words == sum(len(text.split()) for text in held)
    trained = set(documents) - set(held)
    assert not trained & set(held)


def predicted(store: TokenStore, width: int) -> list[int]:
    return [token for block in samples_of(store, width) for token in block[1:]]


def test_a_text_of_less_than_a_block_is_kept(tmp_path: Path) -> None:
    sources = [text_file(tmp_path / f"{n}.txt", [text]) for n, text in enumerate(["ab", "cd"])]
    text = CorpusSettings(*sources, samples=SampleSettings("packed", 100))
    corpus = prepare_corpus(text, TOKENIZER, tmp_path / "cache")
    assert samples_of(corpus.train, 100) == blocks_of(encoded(["ab"]), "packed", 100)
    assert corpus.reports["training text"].dropped_tokens == 0


def test_any_number_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_job, "MULTI_PROCESS_BYTES", 0)
    monkeypatch.setattr(encoding_pool, "CHUNK_CHARACTERS", 700)
    source = text_file(tmp_path / "text.txt", random_documents(4, 150))
    text = CorpusSettings(source, samples=SampleSettings("packed", 24))

    def prepared(workers: int) -> PreparedCorpus:
        settings_of = replace(text, samples=replace(text.samples, workers=workers))
        return prepare_corpus(settings_of, TOKENIZER, tmp_path / f"cache{workers}")

    one, two = prepared(1), prepared(2)
    assert one.fingerprint == two.fingerprint
    assert one.train.num_samples > 50
    other = GPT2Tokenizer(TOKENIZER.vocab, TOKENIZER.merges[:-5])
    assert prepare_corpus(text, other, tmp_path / "cache1").fingerprint != one.fingerprint


def test_words_are_no_matter() -> None:
    with pytest.raises(ValueError, match="segmenter jieba has no use"):
        make_encoder(TOKENIZER, "jieba")


@settings(deadline=None)
@given(
    documents=st.lists(
        st.text(st.characters(exclude_categories=("Cs",)))
        | st.text(st.sampled_from(" \n\u3000\u2003ab今🙂"), max_size=12),
        max_size=5,
    ),
    cuts=st.lists(st.integers(0, 100), max_size=6),
)
def test_words_and_bytes(documents: list[str], cuts: list[int]) -> None:
    # Bytes alone: characters of several tokens, white space among them, are cut anywhere.
    tokenizer = GPT2Tokenizer.of_bpe(train_byte_level_bpe(["ab"], 257))
    ids = [t for text in documents for t in [*tokenizer.encode_ids([text])[0], tokenizer.end_id]]
    counter = TextCounter(tokenizer)
    places = [0, *sorted(min(cut, len(ids)) for cut in cuts), len(ids)]
    for begin, end in itertools.pairwise(places):
        counter.add(np.array(ids[begin:end], np.int32))
    assert counter.size().bytes == sum(len(text.encode()) for text in documents)
    assert counter.size().words == sum(len(text.split()) for text in documents)


@pytest.mark.parametrize("isolate", [False, True])
def test_rows_of_a_batch(tmp_path: Path, isolate: bool) -> None:
    documents, width = random_documents(5, 30), 20
    source = text_file(tmp_path / "text.txt", documents)
    text = CorpusSettings(None, source, samples=SampleSettings("packed", width))
    store, _ = prepare_evaluation(text, TOKENIZER, tmp_path / "cache")
    blocks = blocks_of(encoded(documents), "packed", width)
    batches = CausalEvalBatches(store, 9, RowForm(width, END, isolate))
    assert len(batches) == -(-len(blocks) // 9)
    assert len(blocks) % 9
    rows = [row for batch in batches for row in range(len(batch.input_ids))]
    assert len(rows) == 9 * len(batches)
    number = 0
    for batch in batches:
        assert batch.input_ids.dtype == batch.labels.dtype == np.int32
        assert batch.weights.dtype == np.float32
        assert (batch.document_ids is None) == (batch.position_ids is None) == (not isolate)
        for row in range(9):
            block = blocks[number] if number < len(blocks) else [END]
            count = len(block) - 1
            assert batch.input_ids[row].tolist() == block[:width] + [END] * (width - len(block))
            assert batch.labels[row, :count].tolist() == block[1:]
            assert batch.weights[row].tolist() == [1.0] * count + [0.0] * (width - count)
            if batch.document_ids is not None and batch.position_ids is not None:
                expected = documents_in(block[:count])
                padding = [(0, 0)] * (width - count)
                ids, places = batch.document_ids[row], batch.position_ids[row]
                assert list(zip(ids, places, strict=True)) == expected + padding
            number += 1


def documents_in(row: list[int]) -> list[tuple[int, int]]:
    """(document, position in it) of each token; an end token begins the next document."""
    found = []
    document, position = 1, 0
    for place, token in enumerate(row):
        if token == END and place:
            document, position = document + 1, 0
        found.append((document, position))
        position += 1
    return found


def test_a_row_of_padding(tmp_path: Path) -> None:
    source = text_file(tmp_path / "text.txt", ["abc"])
    text = CorpusSettings(None, source, samples=SampleSettings("line", 5))
    store, _ = prepare_evaluation(text, TOKENIZER, tmp_path / "cache")
    batch = causal_batch(store, np.array([-1, 0]), RowForm(5, END, isolate_documents=True))
    assert batch.weights[0].sum() == 0
    assert batch.weights[1].sum() == len(encoded(["abc"])[0]) + 1
    assert batch.document_ids is not None
    assert batch.document_ids[0].max() == 0
