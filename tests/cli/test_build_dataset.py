"""tools/build_dataset.py as people start it, from the flags to the files, and a killed build."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mindmlm.cli.build_dataset import main
from mindmlm.data.records.manifest import verified_manifest
from mindmlm.data.records.tfrecord import read_tfrecord
from mindmlm.tokenizers.bert import SPECIAL_TOKENS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    words = ["今天", "天气", "很", "好", "我们", "去", "公园", "玩", "learning", "model"]
    characters = sorted({character for word in words[:8] for character in word})
    vocab = [*SPECIAL_TOKENS, *characters, "learn", "##ing", "model"]
    (tmp_path / "vocab.txt").write_text("\n".join(vocab) + "\n", encoding="utf-8")
    lines = [
        "".join(words[(row * 7 + place * 3) % 8] for place in range(5 + row % 9)) + " learning"
        for row in range(300)
    ]
    text = "\n".join(line + ("\n" if row % 5 == 4 else "") for row, line in enumerate(lines))
    (tmp_path / "raw.txt").write_text(text + "\n", encoding="utf-8")
    return tmp_path


def flags(folder: Path, output: str, *others: str) -> list[str]:
    return [
        f"--input_file={folder}/raw.txt",
        f"--output_file={folder}/{output}",
        f"--vocab_file={folder}/vocab.txt",
        "--num_workers=1",
        *others,
    ]


def count(path: Path) -> int:
    return sum(len(columns["segment_ids"].lengths) for _, columns in read_tfrecord(path))


def test_the_flags_of_the_published_scripts(folder, capsys):
    code = main(
        flags(
            folder,
            "pre_data.tfrecord",
            "--max_seq_length=32",
            "--max_predictions_per_seq=5",
            "--masked_lm_prob=0.15",
            "--random_seed=123456",
            "--do_whole_word_mask=True",
            "--do_lower_case=True",
            "--short_seq_prob=0.1",
            "--dupe_factor=5",
        )
    )
    output = folder / "pre_data.tfrecord"
    streams = capsys.readouterr()
    assert code == 0
    assert streams.out.split() == [str(output)]
    assert "60 documents" in streams.err
    manifest = verified_manifest(output)
    assert manifest is not None
    assert count(output) == manifest.rows > 5 * 60
    assert manifest.max_seq_length == 32


def test_folder_of_shards_and_resume(folder, capsys):
    shards = flags(folder, "out", "--dynamic", "--sentence_pairs=sop", "--text_format=document")
    assert main(shards) == 0
    assert json.loads((folder / "out" / "dataset.json").read_text())["shards"] == 1
    assert main(shards) == 2
    assert "exists already" in capsys.readouterr().err
    assert main([*shards, "--resume"]) == 0
    assert main([*shards, "--resume", "--random_seed=2"]) == 2


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (["--input_file=absent.txt"], "absent.txt: no such file or folder"),
        (["--vocab_file=absent.txt"], "--vocab_file: absent.txt: no such file or folder"),
        (["--max_predictions_per_seq=127"], "at most 126 (two tokens"),
        (["--max_seq_length=4", "--sentence_pairs=nsp", "--dynamic"], "at least 5"),
        (
            ["--max_seq_length=16", "--sentence_pairs=sop", "--max_predictions_per_seq=14"],
            "at most 13 fit",
        ),
        (["--mixture=whole_word=1,spam=1"], "--mixture: unknown key; allowed here: token"),
        (["--strategy=macbert"], "--similar_words_file: macbert needs a file"),
        (["--strategy=spam"], "--strategy: expected one of token"),
        (["--strategy=span", "--do_whole_word_mask"], "is short for --strategy whole_word"),
        (
            ["--dynamic", "--strategy=span"],
            "--strategy: --dynamic leaves masks to the configuration",
        ),
        (["--segmenter=none", "--user_dict={folder}/vocab.txt"], "--user_dict: has no effect"),
        (
            ["--segmenter=reference_file"],
            "--reference_file: segmenter reference_file needs the file",
        ),
        (
            [
                "--segmenter=reference_file",
                "--reference_file={folder}/vocab.txt",
                "--part=0/2",
                "--do_whole_word_mask",
            ],
            "pairs its lines with those of the whole text",
        ),
        (["--query=SELECT 1"], "exclude each other"),
        (["--input_file=", "--url=sqlite:///x.db"], "--query: a table needs it"),
        (["--input_file="], "--input_file is missing"),
        (["--input_file=", "--url=postgresql://me:secret@host/db", "--query=x"], "--url"),
        (["--term_file={folder}/none.txt"], "--term_file: {folder}/none.txt: no such file"),
        (["--input_format=jsonl"], "(--on_error: skip leaves it out and counts it)"),
        (["--format=mindrecord"], "is a tfrecord file by its name"),
    ],
)
def test_bad_flags_are_explained(folder, capsys, others, message):
    others = [word.format(folder=folder) for word in others]
    assert main([*flags(folder, "a.tfrecord"), *others]) == 2
    shown = capsys.readouterr().err
    assert message.format(folder=folder) in shown
    assert "secret" not in shown
    assert not (folder / "a.tfrecord").exists()


@pytest.mark.parametrize(
    "word",
    [
        "--dupe_factor=0",
        "--short_seq_prob=2",
        "--resume=perhaps",
        "--part=2/2",
        "--part=1",
        "--shard_mb=9999",
    ],
)
def test_values_out_of_range_are_refused(folder, capsys, word):
    with pytest.raises(SystemExit) as exit_info:
        main([*flags(folder, "a.tfrecord"), word])
    assert exit_info.value.code == 2
    assert word.split("=")[0] in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 4])
def test_a_killed_build_goes_on(folder, project_root, after):
    text = (folder / "raw.txt").read_text(encoding="utf-8")
    (folder / "raw.txt").write_text(text * 300, encoding="utf-8")
    tool = str(project_root / "tools" / "build_dataset.py")
    environment = {**os.environ, "PYTHONPATH": str(project_root)}

    def command(output: str) -> list[str]:
        others = ["--dupe_factor=2", "--shard_mb=1", "--max_seq_length=64", "--segmenter=none"]
        return [sys.executable, tool, *flags(folder, output, *others)]

    subprocess.run(command("whole"), check=True, env=environment, capture_output=True)
    process = subprocess.Popen(command("out"), env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list((folder / "out").glob("part-*.tfrecord"))) < after:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "out" / "dataset.json").exists()
    for path in (folder / "out").glob("part-*.tfrecord"):
        assert verified_manifest(path) is not None
    subprocess.run([*command("out"), "--resume"], check=True, env=environment, capture_output=True)
    names = sorted(path.name for path in (folder / "whole").glob("part-*.tfrecord"))
    assert names == sorted(path.name for path in (folder / "out").glob("part-*.tfrecord"))
    for name in names:
        assert (folder / "out" / name).read_bytes() == (folder / "whole" / name).read_bytes()
