"""tools/hccl_tools.py and tools/merge_hccl.py, as users type them."""

import json
import sys
from pathlib import Path

import pytest

from mindmlm.cli import hccl_tools, merge_hccl
from mindmlm.runtime import rank_table
from mindmlm.testing.command import run_python


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """A folder to work in, on a machine whose hccn_tool knows 32 cards."""
    tool = tmp_path / "bin" / "hccn_tool"
    tool.parent.mkdir()
    tool.write_text(
        f"#!{sys.executable}\nimport sys\nprint(f'ipaddr:192.168.9.{{sys.argv[2]}}')\n"
        "print('netmask:255.255.255.0')\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def devices(path: Path) -> list[dict[str, str]]:
    (server,) = json.loads(path.read_text())["server_list"]
    return server["device"]


def test_the_cards_of_a_machine(folder: Path, capsys) -> None:
    assert hccl_tools.main(["--device_num", "[0,8)", "--server_ip", "10.155.111.140"]) == 0
    path = folder / "hccl_8p_01234567_10.155.111.140.json"
    assert capsys.readouterr().out == f"{path.name}\n"
    assert json.loads(path.read_text()) == {
        "version": "1.0",
        "server_count": "1",
        "server_list": [
            {
                "server_id": "10.155.111.140",
                "device": [
                    {
                        "device_id": str(card),
                        "device_ip": f"192.168.9.{card}",
                        "rank_id": str(card),
                    }
                    for card in range(8)
                ],
                "host_nic_ip": "reserve",
            }
        ],
        "status": "completed",
    }


def test_cards_with_two_digits(folder: Path) -> None:
    words = ["--device_num", "[8,16)", "--server_ip", "10.0.0.1", "--output", "table.json"]
    assert hccl_tools.main(words) == 0
    found = [(d["device_id"], d["device_ip"], d["rank_id"]) for d in devices(folder / "table.json")]
    assert found == [(str(8 + rank), f"192.168.9.{8 + rank}", str(rank)) for rank in range(8)]


def test_the_folder_of_the_table_is_made(folder: Path) -> None:
    words = ["--device_target", "CPU", "--output", "new/folder/t.json"]
    assert hccl_tools.main(words) == 0
    assert len(devices(folder / "new" / "folder" / "t.json")) == 8


def test_visible_devices_are_counted_by_their_places(folder: Path) -> None:
    visible = ["--visible_devices", "4, 15,6,11"]
    words = ["--device_num", "[1,4)", *visible, "--server_ip", "10.0.0.1", "--output", "t.json"]
    assert hccl_tools.main(words) == 0
    found = [(d["device_id"], d["device_ip"], d["rank_id"]) for d in devices(folder / "t.json")]
    assert found == [
        ("15", "192.168.9.15", "0"),
        ("6", "192.168.9.6", "1"),
        ("11", "192.168.9.11", "2"),
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--device_num", "0-8"], "--device_num: '0-8' is no range"),
        (["--device_num", "[8,8)"], r"--device_num: [8,8) is empty"),
        (["--visible_devices", "0,x"], "--visible_devices: 'x' is no number of a card"),
        (["--visible_devices", "0,1,1"], "a card stands twice"),
        (["--visible_devices", "0,1"], "[0,8) goes beyond the 2 cards"),
        (["--server_num", "4"], "--server_num: is for --device_target CPU"),
        (["--server_ip", "0.0.0.0"], "server_list[0].server_id: no machine can be reached"),
        (["--output", "/proc/no/t.json"], "/proc/no/t.json: cannot be written"),
        (["--device_target", "CPU", "--server_num", "3"], "8 processes cannot be divided among 3"),
        (["--device_target", "CPU", "--server_ip", "10.0.0.1"], "--server_ip: is for Ascend"),
        (["--device_target", "CPU", "--device_num", "[1,4)"], "processes start at 0"),
    ],
)
def test_wrong_options(folder: Path, capsys, words: list[str], message: str) -> None:
    before = sorted(folder.iterdir())
    assert hccl_tools.main(["--server_ip", "10.0.0.1", *words][2 * ("CPU" in words) :]) == 2
    assert message in capsys.readouterr().err
    assert sorted(folder.iterdir()) == before


def test_processes_as_four_machines(project_root: Path, tmp_path: Path) -> None:
    words = ["--device_num", "[0,8)", "--device_target", "CPU", "--server_num", "4"]
    output = ["--output", tmp_path / "table.json"]
    done = run_python([project_root / "tools" / "hccl_tools.py", *words, *output])
    assert done.code == 0, done.stderr
    table = rank_table.read(tmp_path / "table.json")
    assert table == rank_table.for_processes(8, 4)
    assert "4s_8p" in hccl_tools.default_name(table)


def test_merging(folder: Path, project_root: Path) -> None:
    names = []
    for index in range(4):
        names.append(f"machine{index}.json")
        addresses = {card: f"192.{card}.27.{index + 1}" for card in range(8)}
        table = rank_table.for_cards(f"10.155.111.{140 + index}", addresses)
        (folder / names[-1]).write_text(table.to_json())
    done = run_python([project_root / "tools" / "merge_hccl.py", *names])
    assert (done.code, done.stdout) == (0, "hccl_4s_32p.json\n")
    merged = json.loads((folder / "hccl_4s_32p.json").read_text())
    assert merged["server_count"] == "4"
    assert [d["rank_id"] for s in merged["server_list"] for d in s["device"]] == [
        str(rank) for rank in range(32)
    ]
    assert merged["server_list"][2]["server_id"] == "10.155.111.142"


def test_merging_what_does_not_fit(folder: Path, capsys) -> None:
    table = rank_table.for_cards("10.0.0.1", {0: "192.168.0.1"})
    for name in ("a.json", "b.json"):
        (folder / name).write_text(table.to_json())
    assert merge_hccl.main(["a.json", "b.json"]) == 2
    assert "server_list[1].server_id: 10.0.0.1 stands twice" in capsys.readouterr().err
    (folder / "b.json").write_text("{}")
    assert merge_hccl.main(["a.json", "b.json"]) == 2
    assert "b.json: version: is missing" in capsys.readouterr().err
    assert not list(folder.glob("hccl_*"))
