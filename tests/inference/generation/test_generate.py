"""`mindmlm.inference.generate`: what users of a notebook call."""

import numpy as np
import pytest

from mindmlm.errors import ConfigError, DataError
from mindmlm.inference import generate
from mindmlm.testing.tiny_gpt2 import our_logits

PROMPTS = ["the cat and", "", "on the man in an other than there", "今天"]
SAMPLED = {"do_sample": True, "top_k": 0, "temperature": 1.5, "max_new_tokens": 12}


@pytest.fixture
def write(ours, tokenizer):
    def call(prompts=PROMPTS, **options):
        options = {"eos_token_id": [], "max_new_tokens": 12, **options}
        return generate(ours, tokenizer, prompts, **options)

    return call


def test_results_have_prompt_text_and_new_tokens(write, tokenizer):
    results = write()
    assert [result["prompt"] for result in results] == PROMPTS
    for result in results:
        assert list(result) == ["prompt", "text", "token_ids"]
        assert len(result["token_ids"]) == 12
        assert result["text"] == tokenizer.decode(result["token_ids"])
    assert write(PROMPTS[0]) == results[:1]
    assert write([]) == []


def test_the_cache_gives_what_the_model_gives_without_one(write, ours, tokenizer):
    results = write()
    rows = np.zeros((len(results), 64), np.int32)
    starts = []
    for row, result in zip(rows, results, strict=True):
        ids = tokenizer.encode_prompt(result["prompt"]).tolist() or [tokenizer.end_id]
        starts.append(len(ids))
        ids += result["token_ids"]
        row[: len(ids)] = ids
    best = our_logits(ours, rows).argmax(-1)
    for row, start, result in zip(best, starts, results, strict=True):
        assert row[start - 1 : start + 11].tolist() == result["token_ids"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{}, SAMPLED, {"num_beams": 3}], ids=["greedy", "drawn", "beams"]
)
def test_a_batch_changes_no_text(write, options):
    together = write(**options, batch_size=8)
    assert write(**options, batch_size=3) == together
    assert write(**options, batch_size=1) == together


def test_sequences_of_one_prompt_differ_and_the_seed_repeats_them(write):
    once = write(**SAMPLED, num_return_sequences=3)
    assert [result["prompt"] for result in once] == [p for p in PROMPTS for _ in range(3)]
    assert len({tuple(result["token_ids"]) for result in once}) == len(once)
    assert write(**SAMPLED, num_return_sequences=3) == once
    assert write(**SAMPLED, num_return_sequences=3, seed=1) != once


def test_a_text_ends_at_its_end_token(write):
    for number, plain in enumerate(write()):
        tokens = plain["token_ids"]
        result = write(eos_token_id=tokens[4])[number]
        place = tokens.index(tokens[4])
        assert result["token_ids"] == tokens[: place + 1]
        assert plain["text"].startswith(result["text"])
        assert result["text"] != plain["text"]


@pytest.mark.parametrize("beams", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_text_is_cut_before_its_stop_string(write, beams):
    plain = write(num_beams=beams)
    stops = [result["text"][3:5] for result in plain]
    for number, result in enumerate(write(stop=stops, num_beams=beams)):
        assert not any(stop in result["text"] for stop in stops)
        if beams == 1:
            whole = plain[number]["text"]
            places = [place for stop in stops if (place := whole.find(stop)) >= 0]
            assert result["text"] == whole[: min(places)]
            tokens = result["token_ids"]
            assert plain[number]["token_ids"][: len(tokens)] == tokens
            assert len(tokens) < 12


@pytest.mark.parametrize("options", [{}, SAMPLED, {"stop": ["a", "\ufffd"]}], ids=str)
def test_pieces_come_in_order_and_make_up_the_texts(write, options):
    pieces = []
    results = write(
        **options, on_text=lambda number, text, over: pieces.append((number, text, over))
    )
    for number, result in enumerate(results):
        mine = [(text, over) for place, text, over in pieces if place == number]
        assert "".join(text for text, _ in mine) == result["text"]
        assert [over for _, over in mine] == [False] * (len(mine) - 1) + [True]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_q": 0.5}, "top_q: no setting of generation; there are max_new_tokens"),
        ({"stream": True}, "stream: no setting"),
        ({"top_p": 0.0}, "top_p: .*greater than 0; got 0.0"),
        ({"max_new_tokens": "ten"}, "max_new_tokens: .*integer"),
        ({"num_return_sequences": 2}, "generation.num_return_sequences: 2 texts would all be"),
        ({"num_beams": 2, "num_return_sequences": 3}, "3 texts are more than the 2"),
        ({"num_beams": 2, "do_sample": True}, "beam search looks for the likeliest"),
        ({"stop": ["", "x"]}, "generation.stop: an empty text"),
        ({"eos_token_id": 5000}, "generation.eos_token_id: 5000 is not in the vocabulary of 267"),
    ],
)
def test_settings_that_cannot_be(write, options, message):
    with pytest.raises(ConfigError, match=message):
        write(**options)


def test_a_prompt_that_is_too_long_is_named(write):
    with pytest.raises(DataError, match=r"prompt 2 .* has 115 tokens, and 12 new .* at most 120"):
        write(["x", "x" * 115])
