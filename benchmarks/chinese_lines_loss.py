"""Is the faster training on Chinese lines as good? Held-out loss of both sides, several seeds.

Every 20th line is held out. Each side trains a network with random weights on the other lines, in
the way that its worker in `run.py chinese_lines` is timed: the same passes over the text, about as
many tokens a step, the same learning rate, warm-up and decay. One evaluator, transformers on
PyTorch, then judges all weights on the same held-out lines with the same 15 % of the tokens hidden.
Runs of one side differ by the seed of weights, order, masks and dropout; a difference between the
sides counts when it is larger than the spread of the seeds.

  python benchmarks/chinese_lines_loss.py                                  packed rows, BERT-mini
  python benchmarks/chinese_lines_loss.py --form bucketed --lines 8
  python benchmarks/chinese_lines_loss.py --text text.txt --sentences --epochs 3 --network small
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from benchmarks import chinese_text  # noqa: E402
from benchmarks.chinese_lines import NETWORKS, Inputs  # noqa: E402
from benchmarks.machine import describe_machine  # noqa: E402

SIDES = ("ours", "peer")
HELD_OUT_EVERY = 20
_TIED = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}


def main() -> int:
    """Train both sides with every seed, judge them, print the losses."""
    options = _parser().parse_args()
    if options.worker:
        _train(options)
        return 0
    if options.text is not None:
        os.environ[chinese_text.TEXT_VARIABLE] = str(options.text.resolve(strict=True))
    if options.sentences:
        os.environ[chinese_text.SENTENCES_VARIABLE] = "1"
    lines = chinese_text.all_lines()
    losses: dict[str, list[float]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        training = [line for n, line in enumerate(lines) if n % HELD_OUT_EVERY]
        inputs = Inputs.write(folder, training)
        held_out = folder / "held_out.txt"
        held_out.write_text("\n".join(lines[::HELD_OUT_EVERY]) + "\n", encoding="utf-8")
        judge = _Judge(inputs, held_out, options.network)
        untrained = judge.loss({})
        for seed in range(options.seeds):
            for side in SIDES:
                weights = _run(side, seed, folder)
                losses[side].append(judge.loss(weights))
                print(f"seed {seed}, {side}: {losses[side][-1]:.4f}", file=sys.stderr, flush=True)
    result = {
        "corpus": chinese_text.name(),
        "lines": len(training),
        "settings": {
            key: getattr(options, key)
            for key in ("form", "lines", "network", "epochs", "learning_rate", "seeds")
        },
        "untrained": untrained,
        "losses": losses,
        "machine": describe_machine(),
    }
    print(json.dumps(result, ensure_ascii=False) if options.json else text_of(result))
    return 0


def text_of(result: dict[str, Any]) -> str:
    """Mean and spread of both sides, and what their difference says."""
    settings = ", ".join(f"{key} {value}" for key, value in result["settings"].items())
    lines = [
        f"{result['corpus']}, {result['lines']:,} lines for training; {settings}",
        f"untrained: held-out loss {result['untrained']:.4f}",
    ]
    for side in SIDES:
        one = result["losses"][side]
        every = ", ".join(f"{loss:.4f}" for loss in one)
        lines.append(f"{side}: mean {statistics.mean(one):.4f}, {spread(one):.4f} apart ({every})")
    ours, peer = (result["losses"][side] for side in SIDES)
    difference = statistics.mean(ours) - statistics.mean(peer)
    wide = max(spread(ours), spread(peer))
    verdict = "within" if abs(difference) <= wide else "NOT within"
    lines.append(f"ours - peer: {difference:+.4f}, {verdict} the spread of the seeds ({wide:.4f})")
    return "\n".join(lines)


def spread(values: list[float]) -> float:
    """Largest minus smallest."""
    return max(values) - min(values)


class _Judge:
    """Held-out loss by transformers on PyTorch: mean cross-entropy of the hidden tokens, nats."""

    def __init__(self, inputs: Inputs, held_out: Path, network: str) -> None:
        from benchmarks.chinese_lines_huggingface import build, start

        start(seed=0)
        self.model = build(inputs, network)[0].eval()
        self.batches = _evaluation_batches(inputs, held_out, network)

    def loss(self, weights: dict[str, np.ndarray]) -> float:
        """Of weights by transformers' names; of none, before any: of random weights."""
        import torch

        state = {name: torch.from_numpy(value) for name, value in weights.items()}
        missing, unknown = self.model.load_state_dict(state, strict=False)
        assert not weights or (not unknown and set(missing) <= _TIED), (missing, unknown)
        total, count = 0.0, 0
        with torch.inference_mode():
            for batch in self.batches:
                ids, mask = torch.from_numpy(batch.input_ids), torch.from_numpy(batch.input_mask)
                logits = self.model(input_ids=ids.long(), attention_mask=mask).logits
                places = torch.from_numpy(batch.masked_lm_positions).long()
                chosen = logits[torch.arange(len(ids))[:, None], places]
                counts = torch.from_numpy(batch.masked_lm_weights) > 0
                labels = torch.from_numpy(batch.masked_lm_ids).long()[counts]
                loss = torch.nn.functional.cross_entropy(chosen[counts], labels, reduction="sum")
                total, count = total + loss.item(), count + int(counts.sum())
        return total / count


def _evaluation_batches(inputs: Inputs, held_out: Path, network: str) -> list[Any]:
    """Those of our evaluation: a line a row, the same masks in every run."""
    from benchmarks.chinese_lines_ours import configuration
    from mindmlm import build
    from mindmlm.tokenizers.files import load_tokenizer

    keys = [f"eval_dataset.data_loader.dataset_dir={held_out}"]
    config = configuration("bucketed", 32, network, inputs, *keys)
    task = build.task_of(config)
    tokenizer = load_tokenizer(config.processor.tokenizer)
    cache = inputs.text.parent / "evaluation"
    text = build.corpus_settings(config, cache)
    corpus = task.prepare(text, tokenizer, cache, progress=False)
    batches = task.evaluation_batches(corpus.evaluation, tokenizer, 32)
    return [batches.batch(number) for number in range(len(batches))]


def _run(side: str, seed: int, folder: Path) -> dict[str, np.ndarray]:
    """Train one side in a process of its own; its weights by transformers' names."""
    given = [word for word in sys.argv[1:] if word != "--json"]
    path = folder / f"{side}_{seed}.npz"
    words = ["--worker", side, "--seed", str(seed), "--folder", str(folder), "--weights", str(path)]
    command = [sys.executable, __file__, *given, *words]
    subprocess.run(command, check=True, stdout=sys.stderr)
    with np.load(path) as file:
        return dict(file)


def _train(options: argparse.Namespace) -> None:
    inputs = Inputs(options.folder / "lines.txt", options.folder / "vocab.txt")
    train = _train_ours if options.worker == "ours" else _train_peer
    np.savez(options.weights, **train(inputs, options))


def _train_ours(inputs: Inputs, options: argparse.Namespace) -> dict[str, np.ndarray]:
    from benchmarks.chinese_lines_ours import configuration
    from mindmlm.runtime.context import initialise

    # Before MindSpore is imported, which would else show warnings about its internals.
    initialise("CPU", device_id=0, mode=0)
    from mindmlm.testing.huggingface import huggingface_name
    from mindmlm.testing.small_run import SmallRun

    keys = (
        f"eval_dataset.data_loader.dataset_dir={options.folder / 'held_out.txt'}",
        f"lr_schedule.learning_rate={options.learning_rate}",
        f"runner_config.epochs={options.epochs}",
        f"seed={options.seed}",
    )
    config = configuration(options.form, options.lines, options.network, inputs, *keys)
    run = SmallRun.create(config, options.folder / f"cache_{options.seed}")
    _say(options, run.steps)
    run.train(run.steps)
    return {huggingface_name(name): value for name, value in run.weights().items()}


def _train_peer(inputs: Inputs, options: argparse.Namespace) -> dict[str, np.ndarray]:
    from transformers import get_linear_schedule_with_warmup

    from benchmarks.chinese_lines_huggingface import build, endless, loader, start, train_step

    start(options.seed)
    examples = loader(inputs, options.lines)
    model, optimizer = build(inputs, options.network, options.learning_rate)
    steps = -(-options.epochs * len(examples.dataset) // options.lines)
    _say(options, steps)
    schedule = get_linear_schedule_with_warmup(optimizer, round(0.1 * steps), steps)
    batches = endless(examples)
    for _ in range(steps):
        train_step(model, optimizer, next(batches))
        schedule.step()
    state = model.state_dict()
    return {name: value.numpy() for name, value in state.items() if name not in _TIED}


def _say(options: argparse.Namespace, steps: int) -> None:
    print(f"seed {options.seed}, {options.worker}: {steps} steps", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--form", choices=["packed", "bucketed"], default="packed", help="of ours (packed)")
    add("--lines", type=int, default=32, help="of a step (32)")
    add("--network", choices=[*NETWORKS], default="mini", help="shape of BERT (mini)")
    add("--epochs", type=int, default=20, help="passes over the text (20)")
    add("--learning_rate", type=float, default=5e-4, help="the highest (5e-4)")
    add("--seeds", type=int, default=3, help="runs of each side (3)")
    add("--text", type=Path, help="UTF-8, a line an example (default: mindmlm's Chinese sample)")
    add("--sentences", action="store_true", help="give every sentence of it a line")
    add("--json", action="store_true", help="print JSON")
    for name, kind in (("worker", str), ("seed", int), ("folder", Path), ("weights", Path)):
        add(f"--{name}", type=kind, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
