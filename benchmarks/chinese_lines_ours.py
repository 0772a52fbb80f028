"""Worker: training on Chinese lines by ours, in packed rows or in buckets of similar length.

Text, words, masks, batches ahead of time and steps are those of a run.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import chinese_text
from benchmarks.chinese_lines import MAX_TOKENS, NETWORKS, Inputs, parser, steps_of_a_turn
from benchmarks.worker import serve
from mindmlm.config import load_config
from mindmlm.config.schema import RunConfig
from mindmlm.data.loader import Prefetcher
from mindmlm.runtime.context import initialise

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "bert" / "run_bert_mini_zh.yaml"
BUCKETS = [24, 32, 40, 48, 64]
FORMS = ("packed", "bucketed")
# Steps that are looked through for batches of every length, so that all graphs are compiled.
_LOOKED_THROUGH = 200


def main() -> None:
    """Prepare the text, serve."""
    arguments = parser()
    arguments.add_argument("--form", choices=FORMS, required=True)
    options = arguments.parse_args()
    initialise("CPU", device_id=0, mode=0)
    with tempfile.TemporaryDirectory() as name:
        inputs = Inputs.write(Path(name), chinese_text.all_lines())
        config = configuration(options.form, options.lines, options.network, inputs)
        make_turn = _batches_only if options.data_only else _training
        turns, close = make_turn(config, Path(name), steps_of_a_turn(options))
        serve(lambda: next(turns), warm_up=1)
        close()


def configuration(
    form: str, lines: int, network: str, inputs: Inputs, *overrides: str
) -> RunConfig:
    """A run of `CONFIG` on the lines.

    Args:
        form: "packed": as many rows of 128 tokens a step as hold the tokens of `lines` lines;
            "bucketed": `lines` lines a step, padded to the next of a few lengths.
        lines: of a step.
        network: a name of `NETWORKS`.
        inputs: text and vocabulary.
        overrides: more `key=value`.
    """
    hidden, layers, heads, intermediate = NETWORKS[network]
    packed = form == "packed"
    keys: dict[str, Any] = {
        "model.model_config.hidden_size": hidden,
        "model.model_config.num_hidden_layers": layers,
        "model.model_config.num_attention_heads": heads,
        "model.model_config.intermediate_size": intermediate,
        "context.device_target": "CPU",
        "train_dataset.max_seq_length": MAX_TOKENS,
        "train_dataset.sample_mode": "packed" if packed else "line",
        "train_dataset.attend_across_documents": not packed,
        "train_dataset.bucket_lengths": [] if packed else BUCKETS,
        "runner_config.batch_size": inputs.rows_of(lines) if packed else lines,
    }
    given = [f"{key}={value}" for key, value in keys.items()]
    flags = {"dataset_dir": str(inputs.text), "vocab_file": str(inputs.vocab)}
    return load_config(str(CONFIG), [*given, *overrides], flags=flags).config


def _training(
    config: RunConfig, folder: Path, steps: int
) -> tuple[Iterator[float], Callable[[], None]]:
    """Turns of so many training steps, each giving the tokens without padding, and their end."""
    from mindmlm import build
    from mindmlm.testing.small_run import SmallRun

    run = SmallRun.create(config, folder / "cache")
    build_batches = build.engine_of(run.config).build_batches
    make = build_batches(run.config, run.corpus.train, run.tokenizer, run.model)
    seen: set[tuple[int, ...]] = set()
    for step in range(_LOOKED_THROUGH):
        batches = make(step)
        shape = batches[0].inputs[0].shape
        if shape not in seen:
            seen.add(shape)
            run.step(batches)
    ahead = Prefetcher(make, workers=2, prefetch=4)

    def turns() -> Iterator[float]:
        while True:
            yield float(sum(run.step(next(ahead)).tokens for _ in range(steps)))

    return turns(), ahead.close


def _batches_only(
    config: RunConfig, folder: Path, steps: int
) -> tuple[Iterator[float], Callable[[], None]]:
    """Turns of so many batches, without the masks of dropout, which the peer draws in its step."""
    from mindmlm import build
    from mindmlm.tokenizers.files import load_tokenizer

    task = build.task_of(config)
    tokenizer = load_tokenizer(config.processor.tokenizer)
    text = build.corpus_settings(config, folder / "cache")
    corpus = task.prepare(text, tokenizer, folder / "cache", progress=False)
    layout = build.batch_layout(config)
    batches = task.train_batches(corpus.train, tokenizer, layout, steps=10**6)
    ahead = Prefetcher(batches.global_batch, workers=2, prefetch=4)

    def turns() -> Iterator[float]:
        while True:
            made = (next(ahead) for _ in range(steps))
            yield float(sum(batch.input_mask.sum() for step in made for batch in step))

    return turns(), ahead.close


if __name__ == "__main__":
    main()
