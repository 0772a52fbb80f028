"""Worker: seconds from the command to the end of the first step of BERT-base, 8 x 128.

The command is that of a user, on the English text that comes with Python. The first weights are not
evaluated, as the peer's are not. The fused kernels count as built: they are compiled once for each
machine. Whatever comes after the first step is not waited for.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.worker import serve_values
from mindmlm.data.samples import write_sample
from mindmlm.data.sources.files import FileSource
from mindmlm.data.vocabulary import train_vocab_file

PROJECT = Path(__file__).resolve().parents[1]
CONFIG = PROJECT / "configs" / "bert" / "run_bert_base_uncased.yaml"
VOCABULARY = 30_522


def main() -> None:
    """Write the inputs, serve; every turn is a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--warm",
        action="store_true",
        help="with the prepared text and the graphs of the run before",
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = _command(folder)
        if options.warm:
            command.append("--context.enable_compile_cache=True")
            os.environ["MINDMLM_GRAPHS_DIR"] = str(folder / "graphs")

        def measure() -> float:
            if not options.warm:
                shutil.rmtree(folder / "output", ignore_errors=True)
            return seconds_to_first_step(command)

        serve_values(measure, warm_up=1)


def seconds_to_first_step(command: list[str]) -> float:
    """Run the command until it logs its first step, then end it.

    Raises:
        RuntimeError: it ended without one; the end of its log is the message.
    """
    start = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        log = []
        for line in process.stderr:
            log.append(line)
            if " step 1/" in line:
                seconds = time.perf_counter() - start
                process.kill()
                return seconds
    raise RuntimeError("no first step:\n" + "".join(log[-20:]))


def _command(folder: Path) -> list[str]:
    text = write_sample("en", folder)
    vocab = folder / "vocab.txt"
    train_vocab_file(vocab, FileSource.of_paths(text), VOCABULARY, True)
    return [
        *(sys.executable, str(PROJECT / "run_mindformer.py"), "--config", str(CONFIG)),
        *("--dataset_dir", str(text), "--vocab_file", str(vocab)),
        *("--output_dir", str(folder / "output"), "--device_target", "CPU", "--max_steps", "2"),
        *("--callbacks.MFLossMonitor.per_print_times", "1"),
        *("--callbacks.EvalMonitor.eval_on_start", "False"),
    ]


if __name__ == "__main__":
    main()
