"""Prompts, ends of texts, and texts that are shown while they are written."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindmlm.errors import DataError
from mindmlm.inference.generation.prompts import encode_prompts, pad_left, padded_batches
from mindmlm.inference.generation.stopping import Endings
from mindmlm.inference.generation.streaming import TerminalStream, TextStreams


def test_an_empty_prompt_begins_a_document(tokenizer):
    (ids,) = encode_prompts([""], tokenizer, 5, 20)
    assert ids.tolist() == [tokenizer.end_id]


def test_a_prompt_that_leaves_just_enough_room(tokenizer):
    (ids,) = encode_prompts(["xyz"], tokenizer, 17, 20)
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["x", "xyzw"], r"prompt 2 \('xyzw'\) has 4 tokens, and 17 new ones .* at most 20"),
        (["x", None], "prompt 2 is no text but NoneType"),
        ([3], "prompt 1 is no text but int: 3"),
        (["\ud800"], "prompt 1 .* is not valid Unicode"),
    ],
)
def test_prompts_that_cannot_be_continued(tokenizer, texts, message):
    with pytest.raises(DataError, match=message):
        encode_prompts(texts, tokenizer, 17, 20)


@given(st.lists(st.integers(1, 70), min_size=1, max_size=9), st.integers(1, 4), st.integers(1, 3))
def test_batches_hold_every_prompt_once_at_the_end_of_a_row(lengths, batch_size, sequences):
    prompts = [np.arange(1, length + 1, dtype=np.int32) for length in lengths]
    batches = padded_batches(prompts, batch_size, sequences, 5)
    found = [n for numbers, _ in batches for n in numbers]
    assert found == list(range(len(prompts)))
    assert len({len(batch.ids) for _, batch in batches}) == 1
    for numbers, batch in batches:
        assert batch.ids.shape[1] % 32 == 0
        assert batch.rows.tolist() == [r for r in range(len(batch.ids)) for _ in range(sequences)]
        for row, number in enumerate(numbers):
            assert batch.ids[row][batch.mask[row] == 1].tolist() == prompts[number].tolist()
            assert (np.diff(batch.mask[row]) >= 0).all()


def test_padding_is_on_the_left():
    ids, mask = pad_left([np.array([5, 6]), np.array([7])])
    assert ids.shape == mask.shape == (2, 32)
    assert ids[:, -2:].tolist() == [[5, 6], [0, 7]]
    assert mask.sum(1).tolist() == [2, 1]


def endings(tokenizer, *stop):
    return Endings([tokenizer.end_id], stop, tokenizer.decode)


def ids_of(tokenizer, text):
    return tokenizer.encode_ids([text])[0].tolist()


def test_a_stop_string_that_ends_inside_of_a_token(tokenizer):
    tokens = ids_of(tokenizer, "on the")
    ends = endings(tokenizer, " t")
    # "Ġthe" is one token: the string ends in the middle of it.
    assert [ends.reached(tokens[:1]), ends.reached(tokens)] == [False, True]
    assert len(tokens) == 2
    assert ends.text(tokens) == "on"


@pytest.mark.parametrize("stop", ["。", "天。", "é the", "x" * 30])
def test_a_stop_string_of_many_tokens(tokenizer, stop):
    tokens = ids_of(tokenizer, "今天。" * 3 + "né the " + "x" * 40)
    ends = endings(tokenizer, stop)
    first = next(n for n in range(1, len(tokens) + 1) if ends.reached(tokens[:n]))
    whole = tokenizer.decode(tokens)
    assert ends.text(tokens[:first]) == whole[: whole.index(stop)]
    assert stop not in tokenizer.decode(tokens[: first - 1])


def test_the_end_token_ends_and_is_not_text(tokenizer):
    ends = endings(tokenizer)
    tokens = [*ids_of(tokenizer, "and"), tokenizer.end_id]
    assert [ends.reached(tokens[:-1]), ends.reached(tokens)] == [False, True]
    assert ends.text(tokens) == "and"
    never = Endings([], [], tokenizer.decode)
    assert not never.reached(tokens)
    assert never.text(tokens) == "and<|endoftext|>"


@given(st.text(max_size=30), st.lists(st.text(min_size=1, max_size=3), max_size=2))
def test_pieces_make_up_the_text_whatever_the_stop_strings(tokenizer, text, stop):
    tokens = [*ids_of(tokenizer, text), tokenizer.end_id]
    ends = endings(tokenizer, *stop)
    last = next(n for n in range(1, len(tokens) + 1) if ends.reached(tokens[:n]))
    pieces, overs = [], []
    streams = TextStreams(
        ends, tokenizer, lambda n, piece, over: (pieces.append(piece), overs.append(over))
    )
    for place, token in enumerate(tokens[:last], start=1):
        streams(4, token, place == last)
    assert "".join(pieces) == ends.text(tokens[:last])
    assert overs == [False] * (last - 1) + [True]


def test_nothing_is_shown_that_may_become_a_stop_string(tokenizer):
    shown = []
    streams = TextStreams(endings(tokenizer, "xyz"), tokenizer, lambda n, t, over: shown.append(t))
    for token in ids_of(tokenizer, "axyqxyz"):
        streams(0, token, False)
    assert shown == ["a", "", "", "xyq", "", "", ""]


def test_the_terminal_shows_one_text_after_the_other():
    out = io.StringIO()
    stream = TerminalStream(out, ["one:", "two:", "three:"])
    stream(1, " b", False)
    assert out.getvalue() == "one:"
    stream(0, " a", False)
    stream(2, " c", True)
    stream(0, " A", True)
    assert out.getvalue() == "one: a A\ntwo: b"
    stream(1, " \x1b[2JB", True)
    assert out.getvalue() == "one: a A\ntwo: b ?[2JB\nthree: c\n"
