"""Ratios, the file of results, the table, the comparison with stored ratios; made-up numbers."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import chinese_text, results, run
from benchmarks.catalogue import catalogue, select
from benchmarks.harness import FOLDER, Benchmark, Result

MACHINE = {
    "processor": "Made-up 9000",
    "cores": 2,
    "memory_gb": 8.0,
    "system": "Linux",
    "python": "3.11.7",
    "packages": {"mindspore": "2.9.0"},
}


def record(name: str, ratio: float, **changes) -> results.Record:
    common = {"title": f"title of {name}", "peer_name": "them", "unit": "tokens/s"}
    numbers = {"ours": 1000.0 * ratio, "peer": 1000.0, "ratio": ratio, "lower_is_better": False}
    when = {"rounds": 5, "date": "2026-11-26", "corpus": "lines.txt", "machine": MACHINE}
    return {"name": name, **common, **numbers, **when, **changes}


@pytest.mark.parametrize(("lower_is_better", "ratio"), [(False, 0.5), (True, 2.0)])
def test_more_than_one_is_better_than_the_peer(lower_is_better: bool, ratio: float) -> None:
    benchmark = Benchmark("title", "unit", (), (), "them", lower_is_better)
    result = Result.of_rounds("name", benchmark, [1.0, 2.0, 30.0], [2.0, 4.0, 3.0])
    assert (result.ours, result.peer, result.ratio) == (2.0, 3.0, ratio)
    assert result.lower_is_better == lower_is_better


def test_a_stopped_run_loses_only_the_line_it_was_writing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.jsonl"
    assert results.read_lines(path) == {}
    results.append_line(path, record("a", 1.0))
    path.write_text(path.read_text() + '{"name": "b", "rat')
    assert results.read_lines(path) == {"a": record("a", 1.0)}


def test_what_follows_a_torn_line_is_read(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    results.append_line(path, record("a", 1.0))
    path.write_text(path.read_text() + '{"name": "b", "rat')
    results.append_line(path, record("a", 2.0))
    results.append_line(path, record("c", 3.0))
    found = results.read_lines(path)
    assert {name: one["ratio"] for name, one in found.items()} == {"a": 2.0, "c": 3.0}


def test_only_a_ratio_that_fell_by_more_than_the_tolerance_is_named() -> None:
    stored = {name: record(name, 2.0) for name in ("same", "edge", "fell", "rose")}
    now = [record("same", 2.0), record("edge", 1.81), record("fell", 1.7), record("rose", 9.0)]
    now.append(record("new", 0.1))
    assert results.regressions(stored, now, 0.1) == ["fell: 1.70 x, stored 2.00 x (-15%)"]
    assert results.regressions(stored, now, 0.2) == []


def test_the_table_says_the_machine_and_what_is_better() -> None:
    other = {**MACHINE, "processor": "Another"}
    text = results.section(
        [
            record("speed", 1.5),
            record("peak", 0.8, unit="MB", lower_is_better=True, date="2026-11-28"),
            record("elsewhere", 3.0, machine=other),
        ]
    )
    assert "2026-11-26 to 2026-11-28; 2 cores of Made-up 9000" in text
    assert "| `speed` | title of speed; peer: them | 1,500 | 1,000 | tokens/s | 1.50 |" in text
    assert "| MB, lower is better | 0.80 |" in text
    assert text.count("| name |") == 2


def test_the_table_takes_the_place_of_the_old_one() -> None:
    document = f"before\n{results.BEGIN}\nold\n{results.END}\nafter"
    once = results.put_between(document, "new")
    assert once == f"before\n{results.BEGIN}\n\nnew\n\n{results.END}\nafter"
    assert results.put_between(once, "new") == once
    with pytest.raises(ValueError, match="has no"):
        results.put_between("a document without the comments", "new")


def test_the_readme_has_a_place_for_the_table(project_root: Path) -> None:
    document = (project_root / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert "new table" in results.put_between(document, "new table")


def test_names_and_groups_select_each_benchmark_once() -> None:
    groups = catalogue("lines.txt")
    every = [name for group in groups.values() for name in group]
    assert len(set(every) | set(groups)) == len(every) + len(groups)
    assert list(select(groups, ["all"])) == every
    assert list(select(groups, ["generation_8", "generation"])) == ["generation_8", "generation_1"]
    with pytest.raises(ValueError, match=r"nothing: no benchmark"):
        select(groups, ["nothing"])


def test_every_worker_is_there() -> None:
    for one in select(catalogue("lines.txt"), ["all"]).values():
        assert (FOLDER / one.ours[0]).is_file() and (FOLDER / one.peer[0]).is_file()


@pytest.fixture
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """`run.py` in `tmp_path` with these ratios of its benchmarks; says what was measured."""
    ratios = {"generation_1": 2.0, "generation_8": 2.0}

    def measure(name: str, benchmark: Benchmark, rounds: int) -> Result:
        return Result.of_rounds(name, benchmark, [ratios[name]] * rounds, [1.0] * rounds)

    monkeypatch.setattr(run, "run_benchmark", measure)
    monkeypatch.setattr(run, "STORED", tmp_path / "results.json")
    monkeypatch.setattr(run, "DOCUMENT", tmp_path / "README.md")
    (tmp_path / "README.md").write_text(f"{results.BEGIN}\n{results.END}\n")
    return ratios


def start(folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    words = ("run.py", *words, "--results", str(folder / "kept.jsonl"))
    monkeypatch.setattr(sys, "argv", list(words))
    monkeypatch.setenv("PYTHONPATH", "")
    return run.main()


def test_the_text_may_be_divided_into_sentences(made_up, tmp_path, monkeypatch) -> None:
    text = tmp_path / "paragraphs.txt"
    text.write_text("第一句。第二句！\n\n“第三句？”还有\n", encoding="utf-8")
    # Put back behind the test, as `main` sets them for the workers.
    for name in (chinese_text.TEXT_VARIABLE, chinese_text.SENTENCES_VARIABLE):
        monkeypatch.setenv(name, "")
    words = ("generation_1", "--rounds", "1", "--text", str(text))
    assert start(tmp_path, monkeypatch, *words) == 0
    assert chinese_text.all_lines() == ["第一句。第二句！", "“第三句？”还有"]
    assert start(tmp_path, monkeypatch, *words, "--sentences") == 0
    assert chinese_text.all_lines() == ["第一句。", "第二句！", "“第三句？”", "还有"]
    kept = (tmp_path / "kept.jsonl").read_text(encoding="utf-8").splitlines()
    names = [json.loads(line)["corpus"] for line in kept if line]
    assert names == ["paragraphs.txt", "paragraphs.txt, a sentence a line"]


def test_written_results_are_what_a_check_compares_with(
    made_up, tmp_path, monkeypatch, capsys
) -> None:
    assert start(tmp_path, monkeypatch, "generation", "--write") == 0
    assert set(json.loads((tmp_path / "results.json").read_text())) == set(made_up)
    assert "`generation_8`" in (tmp_path / "README.md").read_text()
    made_up["generation_8"] = 1.7
    assert start(tmp_path, monkeypatch, "generation_1", "--check") == 0
    capsys.readouterr()
    assert start(tmp_path, monkeypatch, "generation", "--check") == 1
    printed = capsys.readouterr().out
    assert "generation_8: 1.70 x, stored 2.00 x (-15%)" in printed
    assert "generation_1: 2.00 x, stored" not in printed
    assert start(tmp_path, monkeypatch, "generation", "--check", "--tolerance", "0.2") == 0


def test_resume_measures_only_what_is_not_there(made_up, tmp_path, monkeypatch, capsys) -> None:
    def ratios(*words: str) -> list[float]:
        assert start(tmp_path, monkeypatch, *words, "--json") == 0
        lines = capsys.readouterr().out.splitlines()
        return [json.loads(line)["ratio"] for line in lines]

    assert ratios("generation_1") == [2.0]
    made_up.update(generation_1=3.0, generation_8=3.0)
    assert ratios("generation", "--resume") == [2.0, 3.0]
    assert ratios("generation", "--resume", "--rounds", "7") == [3.0, 3.0]
    assert ratios("generation_1") == [3.0]
