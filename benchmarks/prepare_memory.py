"""Peak memory of preparing a small and a large text: `python benchmarks/prepare_memory.py --json`.

Memory has to stay flat however large the text is. Each size is prepared by a process of its own,
for a run (`--target run`) or into records (`--target tfrecord` or `mindrecord`, whole words);
what is counted is the largest resident memory of it and of each of its workers. Text and results
go to a temporary folder (`TMPDIR`): 1000 MB of text need up to 12 GB there as MindRecord.
"""

import argparse
import contextlib
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT))

from benchmarks import chinese_text  # noqa: E402
from benchmarks.machine import describe_machine  # noqa: E402


def main() -> int:
    """Prepare both sizes and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, nargs=2, default=[10, 1000])
    parser.add_argument("--segmenter", default="rjieba")
    parser.add_argument("--target", choices=["run", "tfrecord", "mindrecord"], default="run")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.prepare:
        print(json.dumps(prepare(options.prepare, options.segmenter, options.target)))
        return 0
    runs = [measure(size, options.segmenter, options.target) for size in options.megabytes]
    growth = max(runs[1][key] - runs[0][key] for key in ("process_mb", "worker_mb"))
    result = {
        "name": f"prepare_memory_{options.target}_{options.segmenter}",
        "runs": runs,
        "growth_mb": growth,
        "machine": describe_machine(),
    }
    if options.json:
        print(json.dumps(result))
    else:
        for run in runs:
            print(
                f"{run['megabytes']:6d} MB of text: {run['process_mb']:6.0f} MB in the process, "
                f"{run['worker_mb']:6.0f} MB in a worker, {run['mb_per_second']:.2f} MB/s"
            )
        print(f"growth: {growth:.0f} MB")
    return 0


def measure(megabytes: int, segmenter: str, target: str) -> dict[str, float]:
    """Write a text of that size and prepare it in a new process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = chinese_text.lines()
        chinese_text.write_vocabulary(lines, folder / "vocab.txt")
        with (folder / "text.txt").open("w", encoding="utf-8") as file:
            number = 0
            while file.tell() < megabytes * 1_000_000:
                file.writelines(f"{line}\n" for line in chinese_text.variation(lines, number))
                number += 1
        command = [sys.executable, __file__, "--prepare", name]
        command += ["--segmenter", segmenter, "--target", target]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {"megabytes": megabytes, **json.loads(output)}


def prepare(folder: Path, segmenter: str, target: str) -> dict[str, float]:
    """Prepare the text of `folder`; returns peak memory in MB and the speed."""
    text = folder / "text.txt"
    start = time.perf_counter()
    if target == "run":
        prepare_for_run(folder, text, segmenter)
    else:
        build_records(folder, text, segmenter, target)
    seconds = time.perf_counter() - start
    return {
        "process_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "worker_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
        "mb_per_second": text.stat().st_size / 1e6 / seconds,
    }


def prepare_for_run(folder: Path, text: Path, segmenter: str) -> None:
    """Prepare the text as a training run does."""
    from mindmlm.data.prepare import CorpusSettings, prepare_corpus
    from mindmlm.data.sample_making import SampleSettings
    from mindmlm.data.sources.files import FileSource
    from mindmlm.tokenizers.bert import BertTokenizer

    settings = CorpusSettings(
        train=FileSource.of_paths(text), samples=SampleSettings(segmenter=segmenter)
    )
    prepare_corpus(settings, BertTokenizer.from_vocab_file(folder / "vocab.txt"), folder / "cache")


def build_records(folder: Path, text: Path, segmenter: str, target: str) -> None:
    """Make static records of the text, one pass."""
    from mindmlm.cli.build_dataset import main as build

    words = [f"--input_file={text}", f"--output_file={folder / 'records'}", f"--format={target}"]
    words += [f"--vocab_file={folder / 'vocab.txt'}", "--text_format=line", "--dupe_factor=1"]
    words += ["--strategy=whole_word", f"--segmenter={segmenter}"]
    # Only the result goes to standard output.
    with contextlib.redirect_stdout(sys.stderr), contextlib.redirect_stderr(io.StringIO()):
        if build(words):
            raise RuntimeError("the build failed")


if __name__ == "__main__":
    sys.exit(main())
