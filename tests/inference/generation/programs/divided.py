"""Ranks that generate together; rank 0 prints a JSON object: layout and settings -> is it right.

What is right is what rank 0 writes alone with the same weights.
"""

import json
import sys

import mindspore as ms
import numpy as np

from mindmlm.config.schema.generation import GenerationConfig
from mindmlm.config.schema.gpt2 import GPT2ModelConfig
from mindmlm.conversion.architectures import GPT2
from mindmlm.errors import DataError
from mindmlm.inference.divided_decoder import DividedDecoder
from mindmlm.inference.generation.generator import TextGenerator
from mindmlm.models.gpt2.heads import GPT2LMHeadModel
from mindmlm.models.gpt2.parallel_plan import TENSOR_PLAN, VOCABULARY_PLAN
from mindmlm.models.spans import Span
from mindmlm.parallel.collectives import create_groups
from mindmlm.parallel.division import Division
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.parallel.parallelize import divide_model
from mindmlm.parallel.place import Place
from mindmlm.runtime.context import initialise
from mindmlm.runtime.world import join_world
from mindmlm.testing.tiny_gpt2 import MERGES, TOKENS, VOCAB
from mindmlm.tokenizers.gpt2 import GPT2Tokenizer

CONFIG = GPT2ModelConfig(
    hidden_size=24, num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=80
)
PROMPTS = ["the cat and", "", "on the man in an other", "x", "and"]
LAYOUTS = {2: [(1, 2, 1), (1, 1, 2)], 4: [(1, 2, 2)]}
SETTINGS = [
    {},
    {"do_sample": True, "top_p": 0.9, "num_return_sequences": 2},
    {"num_beams": 3, "num_return_sequences": 2, "repetition_penalty": 1.3},
]


def weights():
    """Whole values by name."""
    rng = np.random.default_rng(0)
    return {
        name: np.ones(shape, np.float32)
        if name.endswith("norm.weight")
        else rng.normal(0, 0.35, shape).astype(np.float32)
        for name, shape in GPT2.parameters(CONFIG, VOCAB).items()
    }


def model_at(place, plan, values):
    """What a place has of the model, with its weights."""
    stages = place.layout.pipeline_stage
    bounds = np.linspace(0, CONFIG.num_hidden_layers, stages + 1).astype(int).tolist()
    stage = place.at.stage
    span = Span(bounds[stage], bounds[stage + 1], CONFIG.num_hidden_layers)
    model = GPT2LMHeadModel(CONFIG, VOCAB, span)
    shapes = {value.name: value.shape for value in model.get_parameters()}
    divide_model(model, plan, place.model, VOCAB)
    division = Division(place.layout, place.rank, plan, False, frozenset({"gpt2.embeddings.word"}))
    for value in model.get_parameters():
        block = values[value.name][division.weight(value.name, shapes[value.name]).slices]
        value.set_data(ms.Tensor(np.ascontiguousarray(block)), slice_shape=True)
    return model


def write(model, place, tokenizer, options, prompts=PROMPTS):
    """The results, on rank 0."""
    settings = GenerationConfig(max_new_tokens=12, eos_token_id=[], **options)
    with DividedDecoder(model, place, CONFIG.hidden_size, VOCAB) as decoder:
        if place.is_main:
            return TextGenerator(decoder, tokenizer, settings, 80, batch_size=3)(prompts)
        return decoder.follow()


def refuses_together(model, place, tokenizer):
    """A prompt that is too long stops rank 0; the others must not wait for it."""
    try:
        write(model, place, tokenizer, {}, ["x", "x" * 70])
    except DataError:
        return place.is_main
    return not place.is_main


def main():
    initialise("CPU", device_id=0, mode=0)
    world = join_world(True)
    tokenizer = GPT2Tokenizer(TOKENS, [tuple(merge.split(" ")) for merge in MERGES])
    values = weights()
    found = {}
    if world.rank == 0:
        alone = model_at(Place.alone(), TENSOR_PLAN, values)
        expected = [write(alone, Place.alone(), tokenizer, options) for options in SETTINGS]
    for degrees in LAYOUTS[world.size]:
        layout = ParallelLayout(*degrees)
        create_groups(layout, world.rank)
        place = Place(layout, world.rank)
        plans = {"whole vocabulary": TENSOR_PLAN, "cut": TENSOR_PLAN + VOCABULARY_PLAN}
        for name, plan in plans.items():
            model = model_at(place, plan, values)
            assert refuses_together(model, place, tokenizer)
            for number, options in enumerate(SETTINGS):
                results = write(model, place, tokenizer, options)
                if place.is_main:
                    found[f"{degrees} {name} {options}"] = results == expected[number]
            if degrees[1] == 1:
                break
    if world.rank == 0:
        texts = {tuple(result["token_ids"]) for results in expected for result in results}
        found["texts differ"] = len(texts) > 10
        print(json.dumps(found))


main()
sys.stdout.flush()
