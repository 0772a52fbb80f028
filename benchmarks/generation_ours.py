"""Worker: greedy continuations by our GPT-2 of 124M parameters, random weights."""

import argparse

import numpy as np

from benchmarks.worker import serve
from mindmlm.config.schema.generation import GenerationConfig
from mindmlm.config.schema.gpt2 import GPT2ModelConfig
from mindmlm.runtime.context import initialise

VOCAB = 50257


def main() -> None:
    """Parse the shape, build the model, serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch_size", type=int, required=True)
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--new_tokens", type=int, default=64)
    options = parser.parse_args()
    initialise("CPU", device_id=0, mode=0)
    import mindspore as ms

    from mindmlm.inference.divided_decoder import DividedDecoder
    from mindmlm.inference.generation.prompts import padded_batches
    from mindmlm.inference.generation.sampling import write_on
    from mindmlm.inference.generation.stopping import Endings
    from mindmlm.models.gpt2.heads import GPT2LMHeadModel
    from mindmlm.models.initialization import initial_value
    from mindmlm.parallel.place import Place

    config = GPT2ModelConfig()
    model = GPT2LMHeadModel(config, VOCAB)
    for value in model.get_parameters():
        start = initial_value(value.name, value.shape, 0, config.initializer_range)
        value.set_data(ms.Tensor(start))
    rng = np.random.default_rng(0)
    prompts = list(rng.integers(0, VOCAB, (options.batch_size, options.prompt)).astype(np.int32))
    ((numbers, batch),) = padded_batches(prompts, options.batch_size, 1, options.new_tokens)
    endings = Endings([], [], str)

    def work() -> float:
        with DividedDecoder(model, Place.alone(), config.hidden_size, VOCAB) as decoder:
            written = write_on(
                decoder, batch, numbers, GenerationConfig(), endings, lambda *token: None
            )
        return sum(len(tokens) for tokens in written)

    serve(work, warm_up=1)


if __name__ == "__main__":
    main()
