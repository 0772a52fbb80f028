import json
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.data.blocks import LineSamples, PackedSamples
from mindmlm.data.store import TokenStore, TokenStoreWriter
from mindmlm.errors import DataError

SEP = 3


def random_samples(seed: int, count: int, high: int = 1000) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 30, count)
    return [(rng.integers(5, high, n).astype(np.int32), rng.random(n) < 0.5) for n in sizes]


def write_store(path: Path, samples: list, vocab_size: int = 1000) -> TokenStore:
    with TokenStoreWriter(path, vocab_size) as writer:
        for tokens, starts in samples:
            writer.append(tokens, starts)
    return TokenStore(path)


def read_all(store: TokenStore) -> list[tuple[list[int], list[bool]]]:
    tokens, starts, lengths = store.gather(np.arange(store.num_samples), 4000)
    return [
        (tokens[n, :length].tolist(), starts[n, :length].tolist())
        for n, length in enumerate(lengths.tolist())
    ]


@pytest.mark.parametrize("vocab_size", [1000, 70_000])
def test_what_is_written_is_read(tmp_path: Path, vocab_size: int) -> None:
    samples = random_samples(1, 300, vocab_size)
    store = write_store(tmp_path / "s", samples, vocab_size)
    assert read_all(store) == [(t.tolist(), s.tolist()) for t, s in samples]
    width = 2 if vocab_size == 1000 else 4
    assert (tmp_path / "s" / "tokens.bin").stat().st_size == store.num_tokens * width
    assert store.lengths(np.array([5, 0])).tolist() == [len(samples[5][0]), len(samples[0][0])]
    tokens, starts, lengths = store.gather(np.array([7, 7, 2]), 4)
    assert (tokens[0] == tokens[1]).all()
    assert lengths.max() <= 4
    assert starts[np.arange(4) >= lengths[:, None]].all()
    assert tokens.dtype == np.int32


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.lists(st.integers(-1, 19), max_size=12))
def test_rows_of_any_width_hold_the_samples(
    tmp_path_factory: pytest.TempPathFactory, seed: int, width: int, sample_ids: list[int]
) -> None:
    samples = random_samples(seed, 20)
    store = write_store(tmp_path_factory.mktemp("rows") / "s", samples)
    tokens = np.full((len(sample_ids), width), -7, np.int32)
    starts = np.zeros((len(sample_ids), width), np.bool_)
    lengths = store.fill(np.array(sample_ids, np.int64), tokens, starts)
    for row, number in enumerate(sample_ids):
        ids, begins = samples[number] if number >= 0 else (np.zeros(0), np.zeros(0))
        length = min(len(ids), width)
        assert lengths[row] == length
        assert tokens[row].tolist() == [*ids[:length].tolist(), *[-7] * (width - length)]
        assert starts[row].tolist() == [*begins[:length].tolist(), *[False] * (width - length)]


def test_fingerprint_sees_tokens_words_and_borders(tmp_path: Path) -> None:
    samples = random_samples(2, 20)
    tokens, starts = samples[3][0].copy(), samples[3][1].copy()
    tokens[0] ^= 1
    starts[-1] ^= True
    joined = (
        np.concatenate([samples[3][0], samples[4][0]]),
        np.concatenate([samples[3][1], samples[4][1]]),
    )
    variants = [
        samples,
        [*samples[:3], (tokens, samples[3][1]), *samples[4:]],
        [*samples[:3], (samples[3][0], starts), *samples[4:]],
        [*samples[:3], joined, *samples[5:]],
    ]
    prints = [write_store(tmp_path / str(n), v).fingerprint for n, v in enumerate(variants)]
    assert len(set(prints)) == 4
    assert write_store(tmp_path / "again", samples).fingerprint == prints[0]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), TokenStoreWriter(tmp_path / "s", 100) as writer:
        writer.append(np.ones(3, np.int32), np.ones(3, np.bool_))
        raise RuntimeError
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["tokens.bin", "word_starts.bin", "ends.bin", "meta.json"])
@pytest.mark.parametrize("fault", ["missing", "short", "long"])
def test_damage_is_seen(tmp_path: Path, name: str, fault: str) -> None:
    write_store(tmp_path / "s", random_samples(3, 10))
    path = tmp_path / "s" / name
    data = path.read_bytes()
    path.unlink()
    if fault != "missing":
        path.write_bytes(data[:-1] if fault == "short" else data + b"x")
    with pytest.raises(DataError, match="s"):
        TokenStore(tmp_path / "s")


def test_other_versions_and_totals_are_refused(tmp_path: Path) -> None:
    write_store(tmp_path / "s", random_samples(4, 10))
    path = tmp_path / "s" / "meta.json"
    meta = json.loads(path.read_text())
    path.write_text(json.dumps({**meta, "format_version": 99}))
    with pytest.raises(DataError, match="format 99"):
        TokenStore(tmp_path / "s")
    path.write_text(json.dumps({**meta, "num_samples": 9}))
    with pytest.raises(DataError, match="do not agree"):
        TokenStore(tmp_path / "s")
    path.write_text("[]")
    with pytest.raises(DataError, match="damaged"):
        TokenStore(tmp_path / "s")


def random_documents(seed: int, count: int) -> list[tuple[np.ndarray, np.ndarray, list[int]]]:
    rng = np.random.default_rng(seed)
    documents = []
    for _ in range(count):
        lengths = rng.integers(0, 40, rng.integers(1, 4)).tolist()
        total = sum(lengths)
        starts = rng.random(total) < 0.5
        starts[np.cumsum([0, *lengths])[:-1][np.array(lengths) > 0]] = True
        documents.append((rng.integers(5, 1000, total).astype(np.int32), starts, lengths))
    return documents


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 25))
def test_packed_blocks_hold_the_whole_corpus(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, block: int
) -> None:
    documents = random_documents(seed, count)
    path = tmp_path_factory.mktemp("store") / "s"
    with TokenStoreWriter(path, 1000) as writer:
        maker = PackedSamples(writer, block, SEP)
        for document in documents:
            maker.add(*document)
        maker.finish()
    stream: list[int] = []
    for tokens, _, _ in documents:
        if len(tokens):
            stream += [*([SEP] if stream else []), *tokens.tolist()]
    if not stream:
        assert writer.num_samples == 0
        return
    rows = read_all(TokenStore(path))
    assert list(chain(*(tokens for tokens, _ in rows))) == stream
    assert {len(tokens) for tokens, _ in rows[:-1]} <= {block}
    for tokens, starts in rows:
        assert starts[0]
        separators = [n for n, token in enumerate(tokens) if token == SEP]
        assert all(starts[n] and (n + 1 == len(tokens) or starts[n + 1]) for n in separators)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 25))
def test_long_lines_are_split_at_words(
    tmp_path_factory: pytest.TempPathFactory, seed: int, count: int, block: int
) -> None:
    documents = random_documents(seed, count)
    path = tmp_path_factory.mktemp("store") / "s"
    with TokenStoreWriter(path, 1000) as writer:
        maker = LineSamples(writer, block)
        for document in documents:
            maker.add(*document)
        maker.finish()
    if not writer.num_samples:
        assert not any(len(tokens) for tokens, _, _ in documents)
        return
    rows = iter(read_all(TokenStore(path)))
    for tokens, starts, lengths in documents:
        begin = 0
        for length in lengths:
            end = begin + length
            while begin < end:
                row, row_starts = next(rows)
                assert row == tokens[begin : begin + len(row)].tolist()
                assert 0 < len(row) <= block
                assert row_starts[0]
                begin += len(row)
                middle = starts[begin - len(row) + (block + 1) // 2 : begin - len(row) + block + 1]
                assert begin == end or starts[begin] or (len(row) == block and not middle.any())
            assert begin == end
    assert next(rows, None) is None
