"""A launcher of its own process: argv is a JSON object with what the tests vary."""

import json
import signal
import sys
from pathlib import Path

from mindmlm.errors import MindmlmError
from mindmlm.runtime.launch.job import Job, new_log_dir, run
from mindmlm.runtime.launch.plan import Plan
from mindmlm.runtime.launch.supervisor import Limits
from mindmlm.runtime.rank_table import for_processes

# A shell without job control starts what is behind an "&" with SIGINT ignored, all tests included,
# and a launcher leaves a signal ignored that was ignored when it began.
signal.signal(signal.SIGINT, signal.default_int_handler)
options = json.loads(sys.argv[1])
folder = Path(options["folder"])
table = for_processes(options["size"], options.get("servers", 1))
table_path = folder / "table.json"
table_path.write_text(table.to_json())
ranks = tuple(range(*options.get("range", [0, options["size"]])))
plan = Plan(table_path, table, ranks, options.get("on_cpu", False), options.get("port", 8118))


def command(attempt: int) -> list[str]:
    words = [sys.executable, *options["command"]]
    return [*words, "--load_checkpoint", "latest"] if attempt else words


job = Job(
    plan,
    command,
    new_log_dir(folder / "log", ranks),
    Limits(**options.get("limits", {})),
    max_restarts=options.get("max_restarts", 0),
    new_port=options.get("new_port", False),
)
try:
    sys.exit(run(job))
except MindmlmError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
