"""The command behind `scripts/run_distribute.sh`: start this machine's ranks and watch them."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mindmlm.cli import modelarts
from mindmlm.cli.arguments import Arguments, parse_arguments
from mindmlm.errors import ConfigError, MindmlmError
from mindmlm.runtime import rank_table
from mindmlm.runtime.launch import job as launch_job
from mindmlm.runtime.launch import plan as launch_plan
from mindmlm.runtime.launch.supervisor import Limits
from mindmlm.runtime.run_folder import RunFolder

if TYPE_CHECKING:
    from mindmlm.config import LoadedConfig

USAGE = """\
usage: bash scripts/run_distribute.sh RANK_TABLE_FILE CONFIG_PATH DEVICE_RANGE RUN_MODE [RANK_SIZE]
                                      [flags of the launcher] [flags of run_mindformer.py]
"""
HELP = f"""\
{USAGE}
Start one process for every rank of this machine, watch them, and end all when one fails.

  RANK_TABLE_FILE  made by tools/hccl_tools.py (and tools/merge_hccl.py); the same on all machines
  CONFIG_PATH      the YAML file
  DEVICE_RANGE     "[0,8]" is 0 to 7. With RANK_SIZE these are ranks of the job, so the second
                   machine of four gets "[8,16]"; without it, cards of this one machine
  RUN_MODE         train, finetune, eval or predict
  RANK_SIZE        ranks of the whole job; leave it out on a single machine

flags of the launcher:
  --max_restarts N    start a job that fails again, up to N times, from the newest good checkpoint;
                      default 0. Mistakes of the user's (exit code 2) are not tried again
  --log_dir DIR       folder for the logs of the ranks, in a new folder for every launch; default
                      OUTPUT_DIR/log/launch
  --hang_timeout S    end the job when no rank goes on for S seconds, once all have begun; default
                      1800, more than an evaluation or a checkpoint takes; 0 = never
  --stop_timeout S    after Ctrl-C or SIGTERM give the ranks S seconds to save; default 300

All other flags go to run_mindformer.py, for example --output_dir output/big or
--parallel_config.model_parallel 2.

examples:
  eight cards of one machine
    bash scripts/run_distribute.sh hccl_8p.json run.yaml "[0,8]" train
  the second of four machines with eight cards each
    bash scripts/run_distribute.sh hccl_4s_32p.json run.yaml "[8,16]" train 32

environment: MS_SCHED_PORT is the port of MindSpore's scheduler (on a CPU; the same for all
machines of a job; without it 8118, or any free port when the whole job runs here).
Exit code: 0 when all ranks ended well, else the worst of theirs; 128 + N when a rank was killed
by signal N; 124 for a hang; 143 or 130 after a stop by SIGTERM or Ctrl-C. docs/distributed.md
"""
_RUN_SCRIPT = Path(__file__).resolve().parents[2] / "run_mindformer.py"
_MOST_SECONDS = 10_000_000


@dataclass
class Words:
    """The command line: `flags` are the launcher's, `passed_on` those of run_mindformer.py."""

    positional: list[str] = field(default_factory=list)
    flags: dict[str, str] = field(default_factory=dict)
    passed_on: list[str] = field(default_factory=list)


FLAGS = ("max_restarts", "log_dir", "hang_timeout", "stop_timeout")


def main(argv: Sequence[str] | None = None) -> int:
    """Launch and return the exit code; a user's error is printed as one message."""
    words = list(sys.argv[1:] if argv is None else argv)
    if "-h" in words or "--help" in words:
        print(HELP, end="")
        return 0
    try:
        return launch(split(words))
    except MindmlmError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def split(words: Sequence[str]) -> Words:
    """Take the command line apart.

    Raises:
        ConfigError: the value of a flag is missing.
    """
    taken, rest = Words(), list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if word.startswith("--") and name in FLAGS:
            if not equals and not rest:
                raise ConfigError(f"--{name}: the value is missing")
            taken.flags[name] = value if equals else rest.pop(0)
        elif taken.passed_on or word.startswith("-"):
            taken.passed_on.append(word)
        else:
            taken.positional.append(word)
    return taken


def launch(words: Words) -> int:
    """Check everything, then start the ranks of this machine and wait for their end.

    Raises:
        ConfigError: something is wrong with the words, the rank table or the configuration;
            nothing was started.
    """
    table_file, config_path, device_range, run_mode, rank_size = _positional(words.positional)
    table_path = Path(table_file).resolve()
    table = rank_table.read(table_path)
    wanted = launch_plan.parse_range("DEVICE_RANGE", device_range)
    if rank_size is None:
        ranks = launch_plan.ranks_of_machine(table, wanted)
    else:
        ranks = launch_plan.ranks_of_job(table, wanted, rank_size)
    worker_words = ["--config", config_path, "--use_parallel", "True", "--run_mode", run_mode]
    worker_words += words.passed_on
    # The configuration is checked against the number of ranks.
    os.environ["RANK_SIZE"] = str(table.rank_size)
    os.environ.pop("MS_WORKER_NUM", None)
    arguments = modelarts.translated(parse_arguments(worker_words))
    loaded = _load(arguments)
    on_cpu = _on_cpu(loaded, table)
    launch_plan.check_target(table, ranks, on_cpu)
    if loaded.config.context.device_target == "auto":
        worker_words += ["--device_target", "CPU" if on_cpu else "Ascend"]
    port = launch_plan.scheduler_port(os.environ)
    plan = launch_plan.Plan(
        table_path, table, ranks, on_cpu, port or launch_plan.DEFAULT_SCHEDULER_PORT
    )
    if arguments.dry_run or arguments.print_config:
        return _ask_one_rank(plan, worker_words)
    limits, max_restarts = _limits(words.flags)
    output = RunFolder(Path(loaded.config.output_dir))
    log_parent = Path(words.flags.get("log_dir", output.root / "log" / "launch"))
    return launch_job.run(
        launch_job.Job(
            plan,
            lambda attempt: _command(worker_words, attempt, run_mode, output),
            launch_job.new_log_dir(log_parent.resolve(), ranks),
            limits,
            max_restarts,
            new_port=port is None and plan.whole_job,
        )
    )


def _positional(words: list[str]) -> tuple[str, str, str, str, int | None]:
    if not 4 <= len(words) <= 5:
        raise ConfigError(f"expected 4 or 5 words before the flags, got {len(words)}\n{USAGE}")
    table, config, device_range, run_mode = words[:4]
    if len(words) == 4:
        return table, config, device_range, run_mode, None
    return table, config, device_range, run_mode, _count("RANK_SIZE", words[4])


def _count(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _MOST_SECONDS):
        raise ConfigError(f"{name}: expected a whole number, got {text!r}")
    return int(text)


def _limits(flags: dict[str, str]) -> tuple[Limits, int]:
    counts = {name: _count(f"--{name}", text) for name, text in flags.items() if name != "log_dir"}
    limits = Limits(
        hang=counts.get("hang_timeout", Limits.hang), stop=counts.get("stop_timeout", Limits.stop)
    )
    return limits, counts.get("max_restarts", 0)


def _load(arguments: Arguments) -> "LoadedConfig":
    """The configuration; what lies at an address is brought by the ranks, and need not be there."""
    from mindmlm.config import load_config

    here = modelarts.first_look(arguments)
    comes_later = bool(arguments.console) or here != arguments
    return load_config(
        here.config_path,
        here.options,
        here.dotted,
        here.flags,
        require_inputs=not (arguments.dry_run or arguments.print_config or comes_later),
    )


def _on_cpu(loaded: "LoadedConfig", table: rank_table.RankTable) -> bool:
    """Whether the ranks are processes on a CPU; with `auto` the rank table says so."""
    target = loaded.config.context.device_target
    return table.of_processes if target == "auto" else target == "CPU"


def _ask_one_rank(plan: launch_plan.Plan, words: list[str]) -> int:
    """Let one process print the configuration or the result of the checks, in place of this one."""
    environment = plan.worker_environment(plan.ranks[0], os.environ)
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, str(_RUN_SCRIPT), *words], environment)


def _command(words: list[str], attempt: int, run_mode: str, output: RunFolder) -> list[str]:
    """The command of a rank; a restart goes on from the newest good checkpoint if there is one."""
    command = [sys.executable, str(_RUN_SCRIPT), *words]
    if attempt and run_mode in ("train", "finetune") and output.has_checkpoints():
        command += ["--run_mode", "train", "--load_checkpoint", "latest"]
    return command


if __name__ == "__main__":
    sys.exit(main())
