"""What each key of the section `generation` does, with a decoder that needs no device."""

import sys
from contextlib import nullcontext

import numpy as np
import pytest

from mindmlm.build.generation import RankGenerator
from mindmlm.build.model import ModelOnRank
from mindmlm.config.checks.generation import generation_notes
from mindmlm.config.schema import RunConfig
from mindmlm.config.schema.generation import GenerationConfig
from mindmlm.inference.generation.generator import TextGenerator
from mindmlm.parallel.division import Division
from mindmlm.parallel.place import Place

PROMPTS = ["the cat", "x", "and"]
SAMPLED = {"do_sample": True}
BEAMS = {"num_beams": 3}
ENDS = list(range(0, 260, 9))
LONG = {"num_beams": 2, "length_penalty": 2.0, "eos_token_id": ENDS}


class Bigrams:
    """A decoder whose logits depend on the last token alone."""

    def __init__(self, vocab_size):
        self.table = np.random.default_rng(0).normal(0, 2, (vocab_size, vocab_size))
        self.table = self.table.astype(np.float32)

    def prefill(self, prompts):
        return self.step(prompts.ids[prompts.rows, -1])

    def step(self, tokens):
        return self.table[tokens]

    def reorder(self, rows):
        """Nothing is remembered."""


@pytest.fixture
def write(tokenizer):
    def call(**settings):
        section = GenerationConfig(**{"max_new_tokens": 15, "eos_token_id": [], **settings})
        decoder = Bigrams(tokenizer.vocab_size)
        return TextGenerator(decoder, tokenizer, section, positions=100)(PROMPTS)

    return call


@pytest.mark.parametrize(
    ("common", "change"),
    [
        ({}, {"max_new_tokens": 9}),
        ({}, SAMPLED),
        (SAMPLED, {"temperature": 3.0}),
        (SAMPLED, {"top_k": 2}),
        (SAMPLED, {"top_p": 0.3}),
        (SAMPLED, {"seed": 1}),
        (SAMPLED, {"num_return_sequences": 2}),
        ({}, {"repetition_penalty": 5.0}),
        ({}, BEAMS),
        ({**BEAMS, "eos_token_id": ENDS}, {"length_penalty": -4.0}),
        (LONG, {"early_stopping": True}),
        (LONG, {"early_stopping": "never"}),
    ],
)
def test_a_setting_changes_what_is_written(write, common, change):
    assert write(**common) == write(**common)
    assert write(**common, **change) != write(**common)


def test_what_ends_a_text(write, tokenizer):
    plain = write()
    token = plain[0]["token_ids"][3]
    assert len(write(eos_token_id=token)[0]["token_ids"]) == 4
    assert write(eos_token_id=[token, 7])[0]["token_ids"] == plain[0]["token_ids"][:4]
    # null is the tokenizer's own end of text.
    assert write(eos_token_id=None) == write(eos_token_id=tokenizer.end_id)
    stop = plain[0]["text"][2]
    assert write(stop=stop)[0]["text"] == plain[0]["text"][: plain[0]["text"].index(stop)]
    assert write(stop=[stop, "\u0000\u0000"]) == write(stop=stop)


def test_tokens_that_the_tokenizer_does_not_have_are_never_written(tokenizer):
    decoder = Bigrams(tokenizer.vocab_size + 5)
    decoder.table[:, -5:] = 50.0
    section = GenerationConfig(max_new_tokens=20, do_sample=True, eos_token_id=[])
    for result in TextGenerator(decoder, tokenizer, section, 100)(PROMPTS):
        assert max(result["token_ids"]) < tokenizer.vocab_size


def test_steps_are_counted_to_their_number(tokenizer):
    seen = []
    section = GenerationConfig(max_new_tokens=4, eos_token_id=[])
    generator = TextGenerator(Bigrams(tokenizer.vocab_size), tokenizer, section, 100, batch_size=2)
    generator(PROMPTS, on_step=lambda done, total: seen.append((done, total)))
    assert {total for _, total in seen} == {8}
    assert list(dict.fromkeys(done for done, _ in seen)) == list(range(1, 9))


@pytest.mark.parametrize("each", [1, 2])
def test_stream_shows_the_texts_on_standard_error(tokenizer, monkeypatch, capsys, each):
    options = {"num_return_sequences": each, "do_sample": each > 1, "eos_token_id": []}
    place = Place.alone()
    model = ModelOnRank(
        None, place, Division(place.layout, 0, None, False, frozenset()), {}, 267, frozenset()
    )
    shown = {}
    for stream in (False, True):
        section = GenerationConfig(max_new_tokens=6, stream=stream, **options)
        config = RunConfig().model_copy(update={"generation": section})
        generator = RankGenerator(config, model, tokenizer)
        decoder = Bigrams(tokenizer.vocab_size)
        monkeypatch.setattr(generator, "_decoder", lambda decoder=decoder: nullcontext(decoder))
        results = generator(PROMPTS)
        captured = capsys.readouterr()
        assert captured.out == ""
        shown[stream] = captured.err
    assert shown[False] == ""
    pairs = [(result["prompt"], result["text"]) for result in results]
    lines = [
        "".join(c if c.isprintable() or c in "\n\t" else "?" for c in prompt + text) + "\n"
        for prompt, text in pairs
    ]
    assert shown[True] == "".join(lines)
    assert sys.stderr.isatty() is False


def test_settings_without_effect_are_named():
    assert generation_notes(GenerationConfig()) == []
    (note,) = generation_notes(GenerationConfig(temperature=0.5, top_k=3))
    assert note == "generation: without do_sample, temperature, top_k has no effect"
    (note,) = generation_notes(GenerationConfig(do_sample=True, early_stopping="never"))
    assert note == "generation: with num_beams 1, early_stopping has no effect"
