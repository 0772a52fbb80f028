"""Worker: our training steps on random tokens, with the real step, batches and dropout."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from benchmarks.worker import serve_steps
from mindmlm.config import load_config
from mindmlm.data.loader import Prefetcher
from mindmlm.runtime.context import initialise


def main() -> None:
    """Parse the shape, build the step, serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    parser.add_argument("--batch_size", type=int, required=True)
    parser.add_argument("--sequence", type=int, required=True)
    parser.add_argument("--peak_memory", action="store_true")
    options = parser.parse_args()
    with training_steps(options.config, options.batch_size, options.sequence) as step:
        serve_steps(step, options.peak_memory)


@contextmanager
def training_steps(path: str, batch_size: int, sequence: int) -> Iterator[Callable[[], float]]:
    """A function that does one step of the run of a YAML and returns its number of tokens."""
    initialise("CPU", device_id=0, mode=0)
    from mindmlm import build
    from mindmlm.models.dropout import keep_masks
    from mindmlm.parallel.agreement import Agreement
    from mindmlm.parallel.micro_batch import MicroBatch
    from mindmlm.parallel.place import Place
    from mindmlm.training.phases import PhaseTimer
    from mindmlm.training.state import TrainState

    overrides = [
        f"runner_config.batch_size={batch_size}",
        f"train_dataset.max_seq_length={sequence}",
        "lr_schedule.type=constant",
        "lr_schedule.warmup_ratio=null",
        "lr_schedule.learning_rate=1e-4",
    ]
    config = load_config(path, overrides, require_inputs=False).config
    settings = config.model.settings
    model = build.model_with_rows(config, settings.vocab_size, Place.alone())
    updater = build.build_updater(config, model)
    train_step = build.build_train_step(
        config, updater, Agreement(model.place), 10**6, PhaseTimer()
    )
    state = TrainState()
    sites = build.family_of(config).dropout_sites(settings, sequence)
    is_masked = config.trainer.type == "MaskedLanguageModelingTrainer"
    random_inputs = masked_inputs if is_masked else causal_inputs
    inputs = random_inputs(batch_size, sequence, settings.vocab_size)
    tokens = batch_size * sequence

    def make(number: int) -> MicroBatch:
        keeps = keep_masks(sites, 0, number, np.arange(batch_size))
        return MicroBatch(inputs, keeps, (float(inputs[-1].sum()),), tokens, rows=tokens)

    batches = Prefetcher(make, workers=1, prefetch=2)

    def step() -> float:
        train_step.run([next(batches)], state)
        state.step += 1
        return tokens

    yield step
    batches.close()


def causal_inputs(batch: int, sequence: int, vocab_size: int) -> tuple[np.ndarray, ...]:
    """A full batch; every position predicts the next token."""
    blocks = np.random.default_rng(0).integers(0, vocab_size, (batch, sequence + 1))
    blocks = blocks.astype(np.int32)
    return blocks[:, :-1].copy(), blocks[:, 1:].copy(), np.ones((batch, sequence), np.float32)


def masked_inputs(batch: int, sequence: int, vocab_size: int) -> tuple[np.ndarray, ...]:
    """A full batch without padding, 15 % of its positions chosen."""
    rng = np.random.default_rng(0)
    predictions = -(-15 * sequence // 100)
    ids = rng.integers(1000, vocab_size, (batch, sequence)).astype(np.int32)
    positions = np.stack(
        [np.sort(rng.choice(sequence, predictions, replace=False)) for _ in range(batch)]
    ).astype(np.int32)
    labels = np.take_along_axis(ids, positions, 1)
    ones = np.ones((batch, sequence), np.int32)
    weights = np.ones(positions.shape, np.float32)
    return ids, ones, np.zeros_like(ids), positions, labels, weights


if __name__ == "__main__":
    main()
