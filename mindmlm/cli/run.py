"""The command behind `run_mindformer.py`.

Nothing heavy is imported here: the stop signals have to be taken over before numpy and MindSpore
start their threads, and `--help` should not wait for them.
"""

import json
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mindmlm.cli.arguments import Arguments, parse_arguments
from mindmlm.errors import MindmlmError
from mindmlm.runtime.environment import prepare_environment
from mindmlm.runtime.launch.heartbeat import answer_stack_requests
from mindmlm.training.interrupt import StopRequest

if TYPE_CHECKING:
    from mindmlm.config import LoadedConfig


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; a user's error is printed as one message."""
    prepare_environment()
    answer_stack_requests()
    try:
        arguments = parse_arguments(sys.argv[1:] if argv is None else argv)
        with StopRequest() as stop:
            return _run(arguments, stop)
    except MindmlmError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _run(arguments: Arguments, stop: StopRequest) -> int:
    from mindmlm.cli import modelarts
    from mindmlm.config import render
    from mindmlm.config.parallel_notes import dry_run_notes
    from mindmlm.planning.engine_plan import plan_notes

    arguments = modelarts.translated(arguments)
    loaded = _load(modelarts.first_look(arguments), require_inputs=False)
    if arguments.print_config:
        print(render(loaded), end="")
        return 0
    if arguments.dry_run:
        found = [*loaded.notes, *dry_run_notes(loaded.config), *plan_notes(loaded.config)]
        lines = ["the configuration is good", *found]
        print("\n".join(lines), file=sys.stderr)
        return 0
    if modelarts.is_needed(arguments, loaded):
        return modelarts.run(arguments, loaded, _load, stop)
    return _start(_load(arguments, require_inputs=True), stop)


def _load(arguments: Arguments, require_inputs: bool) -> "LoadedConfig":
    from mindmlm.config import load_config

    return load_config(
        arguments.config_path,
        arguments.options,
        arguments.dotted,
        arguments.flags,
        require_inputs=require_inputs,
    )


def _start(loaded: "LoadedConfig", stop: StopRequest) -> int:
    from mindmlm import jobs

    mode = loaded.config.run_mode
    if mode in ("train", "finetune"):
        interrupted = jobs.train(loaded, stop)
        # A rank that was not asked itself stops because another one was.
        return (stop.exit_code or 128 + signal.SIGTERM) if interrupted else 0
    result = jobs.evaluate(loaded) if mode == "eval" else jobs.predict(loaded)
    print(to_json(result))
    return 0


def to_json(value: object) -> str:
    """JSON for standard output, Chinese text as it is."""
    return json.dumps(value, ensure_ascii=False, indent=2)
