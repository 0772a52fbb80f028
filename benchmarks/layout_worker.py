"""One rank of `layouts.py`: trains some steps in a layout and tells what it took."""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from mindmlm import build  # noqa: E402
from mindmlm.config import load_config  # noqa: E402
from mindmlm.parallel import collectives  # noqa: E402
from mindmlm.parallel.agreement import Agreement  # noqa: E402
from mindmlm.runtime.context import initialise  # noqa: E402
from mindmlm.runtime.world import join_world  # noqa: E402
from mindmlm.testing.small_run import SmallRun  # noqa: E402


def main() -> None:
    """Join the others, train, print what rank 0 knows."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--vocab", required=True)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--silent", action="store_true", help="leave all messages out")
    parser.add_argument("options", nargs="*", metavar="KEY=VALUE")
    given = parser.parse_args()
    config = load_config(
        given.config,
        given.options,
        flags={"dataset_dir": given.text, "vocab_file": given.vocab},
    ).config
    initialise("CPU", device_id=0, mode=0)
    place = build.place_of(config, join_world(config.use_parallel))
    collectives.create_groups(place.layout, place.rank)
    agreement = Agreement(place)
    if given.silent:
        leave_messages_out()
    run = SmallRun.create(config, Path(given.cache) / str(place.rank), place)
    results = run.train(given.steps)
    seconds = [time_of(run) for _ in range(given.steps // 2)]
    byte_rows = agreement.rows([bytes_here(run)])
    if place.is_main:
        losses = [result.loss for result in results]
        result = {
            "losses": losses,
            "seconds": statistics.median(seconds),
            "bytes": int(byte_rows.max()),
        }
        print(json.dumps(result), flush=True)


def time_of(run: SmallRun) -> float:
    """Seconds of one more step, its batch included."""
    batches = run.micro_batches(run.state.step)
    start = time.perf_counter()
    run.step(batches)
    return time.perf_counter() - start


def bytes_here(run: SmallRun) -> int:
    """Bytes of weights and of everything that belongs to the optimizer, on this rank."""
    weights = {id(value): value for value in run.model.parameters()}
    updated = {id(value): value for value in run.updater.owned.parameters}
    state = {id(value): value for value in run.updater.optimizer.state()}
    return sum(value.nbytes for value in (weights | updated | state).values())


def leave_messages_out() -> None:
    """Let every rank compute as if the messages cost nothing; the numbers are wrong then."""

    def alone(self: collectives.Sum, group: collectives.Group) -> None:
        super(collectives.Sum, self).__init__()
        self.alone = True

    collectives.Sum.__init__ = alone  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
