"""The words of scripts/run_distribute.sh: what is refused, and what would be started."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mindmlm.cli import launch
from mindmlm.runtime import rank_table
from mindmlm.testing.corpus import write_corpus


@pytest.fixture
def job(monkeypatch):
    """The job that would have been run, after a call of main()."""
    jobs = []
    monkeypatch.setattr(launch.launch_job, "run", lambda job: jobs.append(job) or 0)
    monkeypatch.setenv("RANK_SIZE", "1")
    monkeypatch.delenv("MS_SCHED_PORT", raising=False)
    return jobs


@pytest.fixture
def files(tmp_path: Path, project_root: Path, monkeypatch) -> dict[str, str]:
    """Tables, a configuration for 8 processes and a text, in the current folder."""
    monkeypatch.chdir(tmp_path)
    write_corpus(tmp_path / "news.txt", documents=5)
    tables = {
        "eight": rank_table.for_processes(8),
        "machines": rank_table.for_processes(8, 4),
        "cards": rank_table.for_cards("10.0.0.1", {c: f"192.168.0.{c + 1}" for c in range(8)}),
        "odd": rank_table.for_cards("10.0.0.1", {c: f"192.168.0.{c}" for c in (4, 5, 6, 7)}),
    }
    pairs = [
        rank_table.for_cards(f"10.0.0.{s}", {c: f"192.168.{s}.{c + 1}" for c in range(4)})
        for s in (1, 2)
    ]
    tables["two"] = rank_table.merge(pairs)
    for name, table in tables.items():
        (tmp_path / f"{name}.json").write_text(table.to_json())
    config = project_root / "configs" / "bert" / "run_bert_tiny_zh_parallel.yaml"
    return {"config": str(config), **{name: f"{name}.json" for name in tables}}


TEXT = ["--dataset_dir", "news.txt"]


def test_five_words(files, job, tmp_path: Path) -> None:
    words = [files["machines"], files["config"], "[4,6]", "train", "8", *TEXT]
    assert launch.main([*words, "--output_dir", "here", "--hang_timeout=30"]) == 0
    (made,) = job
    assert made.plan.ranks == (4, 5)
    assert made.plan.on_cpu
    assert not made.plan.starts_scheduler
    assert made.plan.scheduler_port == 8118
    assert made.plan.table_path == tmp_path / "machines.json"
    assert not made.new_port
    assert (made.limits.hang, made.limits.stop, made.max_restarts) == (30, 300, 0)
    assert made.log_dir.parent == tmp_path / "here" / "log" / "launch"
    assert made.log_dir.is_dir()
    root = Path(launch.__file__).parents[2]
    assert made.command(0) == [
        sys.executable,
        str(root / "run_mindformer.py"),
        *("--config", files["config"], "--use_parallel", "True", "--run_mode", "train"),
        *(*TEXT, "--output_dir", "here"),
    ]


def test_one_call_for_all_ranks_takes_a_free_port(files, job, monkeypatch) -> None:
    words = [files["machines"], files["config"], "[0,8)", "train", "8", *TEXT]
    assert launch.main(words) == 0
    assert job[-1].plan.starts_scheduler
    assert job[-1].plan.scheduler_host == "127.0.0.1"
    assert job[-1].new_port
    monkeypatch.setenv("MS_SCHED_PORT", "9000")
    assert launch.main(words) == 0
    assert (job[-1].plan.scheduler_port, job[-1].new_port) == (9000, False)


def test_four_words_count_the_cards_of_one_machine(files, job) -> None:
    degrees = ["--parallel_config.data_parallel", "1", "--context.device_target", "auto"]
    words = [files["odd"], files["config"], "[4,8]", "train", *TEXT, *degrees]
    assert launch.main(words) == 0
    assert job[0].plan.ranks == (0, 1, 2, 3)
    assert not job[0].plan.on_cpu
    assert job[0].command(0)[-2:] == ["--device_target", "Ascend"]
    environment = job[0].plan.worker_environment(2, {})
    assert (environment["RANK_ID"], environment["DEVICE_ID"]) == ("2", "6")


def test_a_restart_goes_on_where_a_checkpoint_is(files, job, tmp_path: Path) -> None:
    words = [files["eight"], files["config"], "[0,8]", "finetune", *TEXT, "--load_checkpoint", "x"]
    assert launch.main([*words, "--output_dir", "here", "--max_restarts", "3"]) == 0
    (made,) = job
    assert made.max_restarts == 3
    assert made.command(1) == made.command(0)
    (tmp_path / "here" / "checkpoint" / "step_00000050").mkdir(parents=True)
    assert made.command(0)[-2:] == ["--output_dir", "here"]
    assert made.command(1)[-4:] == ["--run_mode", "train", "--load_checkpoint", "latest"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "",
            "expected 4 or 5 words before the flags, got 0\nusage: bash scripts/run_distri",
        ),
        ("eight config [0,8] train 8 9", "got 6"),
        ("none.json config [0,8] train", "none.json: the rank table cannot be read"),
        ("eight none.yaml [0,8] train", "none.yaml"),
        ("eight config 0-8 train", "DEVICE_RANGE: '0-8' is no range; expected [FIRST,END]"),
        ("eight config 8 train", "the shell takes brackets for a pattern of file names"),
        ("eight config [4,4] train", "DEVICE_RANGE: [4,4] is empty"),
        ("eight config [0,4] train", "[0,4] means the cards 0 to 3, and the rank table has the"),
        ("machines config [0,8] train", "4 servers with 8 ranks; for several machines give RANK"),
        ("eight config [0,8] train 16", "RANK_SIZE: 16 was given and the rank table has 8 ranks"),
        ("eight config [4,12] train 8", "[4,12] goes beyond the ranks of the rank table, 0 to 7"),
        ("eight config [0,8] train many", "RANK_SIZE: expected a whole number, got 'many'"),
        ("eight config [0,8] trian", "trian"),
        ("eight config [0,8] train --no_such_flag 3", "--no_such_flag: unknown flag"),
        ("eight config [0,8] train --max_restarts", "--max_restarts: the value is missing"),
        ("eight config [0,8] train --max_restarts=-1", "--max_restarts: expected a whole number"),
        ("cards config [0,8] train --device_target CPU", "the rank table is one of Ascend cards"),
        ("eight config [0,8] train --device_target Ascend", "one of processes on this machine"),
        (
            "two config [0,8] train 8 --device_target Ascend",
            "ranks 0 to 7 lie on several servers (10.0.0.1, 10.0.0.2)",
        ),
        ("eight config [0,8] train --parallel_config.model_parallel 4", "RANK_SIZE is 8"),
    ],
)
def test_what_is_refused(files, job, capsys, tmp_path: Path, words: str, message: str) -> None:
    typed = [files.get(word, word) for word in words.split()]
    dataset = TEXT if words.count(" ") > 2 else []
    assert launch.main([*typed, *dataset] if typed[-1:] != ["--max_restarts"] else typed) == 2
    assert message in capsys.readouterr().err
    assert not job
    assert not (tmp_path / "output").exists()


def test_a_port_that_is_none(files, job, monkeypatch, capsys) -> None:
    monkeypatch.setenv("MS_SCHED_PORT", "80")
    assert launch.main([files["eight"], files["config"], "[0,8]", "train", *TEXT]) == 2
    assert "MS_SCHED_PORT: '80' is no port (1024 to 65535)" in capsys.readouterr().err
    assert not job


def test_help_teaches(capsys) -> None:
    assert launch.main(["--help"]) == 0
    text = capsys.readouterr().out
    for flag in launch.FLAGS:
        assert f"--{flag}" in text
    for word in ("RANK_TABLE_FILE", "CONFIG_PATH", "DEVICE_RANGE", "RUN_MODE", "RANK_SIZE"):
        assert word in text


def bash(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", *map(str, words)],
        cwd=cwd,
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("place", [".", "scripts"])
def test_the_script_works_from_the_root_and_from_its_folder(
    files, project_root: Path, tmp_path: Path, place: str
) -> None:
    config = os.path.relpath(files["config"], project_root / place)
    script = os.path.relpath(project_root / "scripts" / "run_distribute.sh", project_root / place)
    words = [script, tmp_path / "machines.json", config, "[0,8]", "train", "8", "--dry_run"]
    done = bash(*words, cwd=project_root / place)
    assert done.returncode == 0, done.stderr
    assert "= 8 processes" in done.stderr


def test_print_config_prints_once(files, project_root: Path, tmp_path: Path) -> None:
    script = project_root / "scripts" / "run_distribute.sh"
    words = [files["eight"], files["config"], "[0,8]", "train", "--print_config", "--seed", "7"]
    done = bash(script, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("use_parallel: true") + done.stdout.count("use_parallel: True") == 1
    assert "seed: 7" in done.stdout


def test_run_standalone(files, project_root: Path, tmp_path: Path) -> None:
    script = project_root / "scripts" / "run_standalone.sh"
    done = bash(script, files["config"], "3", "train", "--print_config", *TEXT, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "device_id: 3" in done.stdout
    done = bash(script, files["config"], "0", cwd=tmp_path)
    assert done.returncode == 2
    assert "usage: bash scripts/run_standalone.sh CONFIG_PATH DEVICE_ID RUN_MODE" in done.stderr


def test_a_wrong_table_starts_nothing(files, project_root: Path, tmp_path: Path) -> None:
    content = json.loads((tmp_path / "eight.json").read_text())
    content["server_list"][0]["device"][5]["rank_id"] = "4"
    (tmp_path / "eight.json").write_text(json.dumps(content))
    script = project_root / "scripts" / "run_distribute.sh"
    done = bash(script, files["eight"], files["config"], "[0,8]", "train", *TEXT, cwd=tmp_path)
    assert done.returncode == 2
    assert "server_list[0].device[5].rank_id: 4 stands twice" in done.stderr
    assert not (tmp_path / "output").exists()
