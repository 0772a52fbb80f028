"""Rank tables: what is read, built and merged, and that every wrong one is refused by name."""

import copy
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.cli import launch
from mindmlm.errors import ConfigError
from mindmlm.runtime import rank_table
from mindmlm.runtime.rank_table import RankTable

# As in MindFormers' documentation of GPT-2 13B: four machines, eight cards each.
MACHINES = [f"10.155.111.{140 + index}" for index in range(4)]


def documented_table():
    """The 32-card table of the documentation, with the addresses that stand there."""
    return {
        "version": "1.0",
        "server_count": "4",
        "server_list": [
            {
                "server_id": machine,
                "device": [
                    {
                        "device_id": str(card),
                        "device_ip": f"192.{card % 4 + 1}.27.{6 + 2 * index + card // 4}",
                        "rank_id": str(8 * index + card),
                    }
                    for card in range(8)
                ],
                "host_nic_ip": "reserve",
            }
            for index, machine in enumerate(MACHINES)
        ],
        "status": "completed",
    }


def parse(content) -> RankTable:
    return rank_table.parse(json.dumps(content).encode())


@st.composite
def tables(draw):
    """Valid tables of Ascend cards: several servers, odd cards, ranks in any order."""
    sizes = draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))
    ranks = list(range(sum(sizes)))
    random.Random(draw(st.integers(0, 10**6))).shuffle(ranks)
    servers = []
    for index, size in enumerate(sizes):
        cards = draw(st.lists(st.integers(0, 31), min_size=size, max_size=size, unique=True))
        servers.append(
            {
                "server_id": draw(st.sampled_from([f"10.0.0.{index + 1}", f"node-{index}.site"])),
                "device": [
                    {
                        "device_id": str(card),
                        "device_ip": f"192.168.{index}.{card + 1}",
                        "rank_id": str(ranks.pop()),
                    }
                    for card in cards
                ],
                "host_nic_ip": "reserve",
            }
        )
    return {
        "version": "1.0",
        "server_count": str(len(servers)),
        "server_list": servers,
        "status": "completed",
    }


def test_the_documented_table_is_read_and_written_as_it_stands() -> None:
    content = documented_table()
    table = parse(content)
    assert json.loads(table.to_json()) == content
    assert list(json.loads(table.to_json())) == list(content)
    assert table.rank_size == 32
    assert not table.of_processes
    assert (table.device(13).device_id, table.device(13).device_ip) == (5, "192.2.27.9")
    assert table.server(13).server_id == "10.155.111.141"


@given(tables())
def test_valid_tables_are_kept(content) -> None:
    table = parse(content)
    assert json.loads(table.to_json()) == content
    for server in content["server_list"]:
        for device in server["device"]:
            rank = int(device["rank_id"])
            assert str(table.device(rank).device_id) == device["device_id"]
            assert table.server(rank).server_id == server["server_id"]


def test_keys_of_others_survive() -> None:
    content = documented_table()
    content["server_list"][1]["pod_ip"] = "10.1.1.1"
    content["server_list"][1]["device"][3]["super_device_id"] = "7"
    again = json.loads(rank_table.merge([parse(content)]).to_json())
    assert again["server_list"][1]["pod_ip"] == "10.1.1.1"
    assert again["server_list"][1]["device"][3]["super_device_id"] == "7"


@pytest.mark.parametrize(("count", "servers"), [(1, 1), (8, 1), (8, 4), (12, 12), (32, 2)])
def test_processes_on_this_machine(count: int, servers: int) -> None:
    table = rank_table.for_processes(count, servers)
    assert table.of_processes
    assert table.rank_size == count
    assert [server.server_id for server in table.servers] == [
        f"127.0.0.{index + 1}" for index in range(servers)
    ]
    each = count // servers
    for rank in range(count):
        assert table.device(rank).device_id == rank % each
        assert table.server(rank).server_id == f"127.0.0.{rank // each + 1}"


@pytest.mark.parametrize(("count", "servers"), [(8, 3), (8, 0), (4, 8), (1000, 500)])
def test_processes_that_cannot_be_divided(count: int, servers: int) -> None:
    with pytest.raises(ConfigError, match="--server_num"):
        rank_table.for_processes(count, servers)


@given(st.lists(tables(), min_size=1, max_size=4))
def test_merging_numbers_the_ranks_through(contents) -> None:
    for number, content in enumerate(contents):
        for index, server in enumerate(content["server_list"]):
            server["server_id"] = f"10.{number}.0.{index}"
            for card, device in enumerate(server["device"]):
                device["device_ip"] = f"192.{number}.{index}.{card}"
    parts = [parse(content) for content in contents]
    merged = rank_table.merge(parts)
    assert merged.rank_size == sum(part.rank_size for part in parts)
    assert [s.server_id for s in merged.servers] == [
        s.server_id for part in parts for s in part.servers
    ]
    offset = 0
    for part in parts:
        for rank in range(part.rank_size):
            assert merged.device(offset + rank).device_ip == part.device(rank).device_ip
        offset += part.rank_size


def test_one_machine_cannot_be_merged_with_itself() -> None:
    table = parse(documented_table())
    with pytest.raises(ConfigError, match=r"server_list\[4\].server_id: 10.155.111.140.*\[0\]"):
        rank_table.merge([table, table])


# Each takes the content and a source of chance, breaks it in one place, and returns what the
# message has to name.


def any_device(content, chance):
    index = chance.randrange(len(content["server_list"]))
    number = chance.randrange(len(content["server_list"][index]["device"]))
    device = content["server_list"][index]["device"][number]
    return f"server_list[{index}].device[{number}]", device


def drop_key(content, chance):
    key = chance.choice(list(content))
    del content[key]
    return key


def drop_device_key(content, chance):
    where, device = any_device(content, chance)
    key = chance.choice(list(device))
    del device[key]
    return f"{where}.{key}"


def drop_server_key(content, chance):
    index = chance.randrange(len(content["server_list"]))
    key = chance.choice(["server_id", "device"])
    del content["server_list"][index][key]
    return f"server_list[{index}].{key}"


def wrong_count(content, chance):
    count = len(content["server_list"])
    wrong = chance.choice([n for n in range(8) if n != count])
    content["server_count"] = str(wrong)
    return "server_count"


def repeated_rank(content, chance):
    devices = [device for server in content["server_list"] for device in server["device"]]
    if len(devices) < 2:
        return rank_too_large(content, chance)
    first, second = chance.sample(devices, 2)
    second["rank_id"] = first["rank_id"]
    return f".rank_id: {first['rank_id']} stands twice"


def rank_too_large(content, chance):
    where, device = any_device(content, chance)
    missing = device["rank_id"]
    device["rank_id"] = str(chance.randint(60, 999))
    return f"{where}.rank_id: {device['rank_id']} is too large", f"{missing} is missing"


def not_a_number(content, chance):
    where, device = any_device(content, chance)
    key = chance.choice(["rank_id", "device_id"])
    device[key] = chance.choice(["-1", "1.0", "one", "", " 1", "01", "٣", "1" * 50, 3, None, []])
    return f"{where}.{key}"


def wrong_card_address(content, chance):
    where, device = any_device(content, chance)
    device["device_ip"] = chance.choice(
        ["", "192.168.1", "192.168.1.256", "0.0.0.0", "224.0.0.1", "255.255.255.255", "card", 7]
    )
    return f"{where}.device_ip"


def loopback_card(content, chance):
    where, device = any_device(content, chance)
    device["device_ip"] = f"127.0.0.{chance.randint(1, 9)}"
    return f"{where}.device_ip"


def wrong_server(content, chance):
    index = chance.randrange(len(content["server_list"]))
    content["server_list"][index]["server_id"] = chance.choice(
        ["", "10.0.0", "10.0.0.999", "0.0.0.0", "a b", "-x", "under score", "a..b", None, "x" * 300]
    )
    return f"server_list[{index}].server_id"


def repeated_server(content, chance):
    content["server_list"].append(copy.deepcopy(content["server_list"][0]))
    content["server_count"] = str(len(content["server_list"]))
    offset = 0
    for server in content["server_list"]:
        for device in server["device"]:
            device["rank_id"] = str(offset)
            offset += 1
    return f"server_list[{len(content['server_list']) - 1}].server_id"


def repeated_card(content, chance):
    index = chance.randrange(len(content["server_list"]))
    devices = content["server_list"][index]["device"]
    devices.append({**devices[0], "device_ip": "192.168.200.1", "rank_id": str(total(content))})
    return f"server_list[{index}].device[{len(devices) - 1}].device_id"


def repeated_address(content, chance):
    index = chance.randrange(len(content["server_list"]))
    devices = content["server_list"][index]["device"]
    devices.append({**devices[0], "device_id": "77", "rank_id": str(total(content))})
    return f"server_list[{index}].device[{len(devices) - 1}].device_ip"


def total(content) -> int:
    return sum(len(server["device"]) for server in content["server_list"])


def no_devices(content, chance):
    index = chance.randrange(len(content["server_list"]))
    content["server_list"][index]["device"] = chance.choice([[], {}, None, "0"])
    return f"server_list[{index}].device"


def no_servers(content, chance):
    content["server_list"] = chance.choice([[], {}, None, 4])
    return "server_list"


def not_completed(content, chance):
    content["status"] = chance.choice(["initializing", "", "Completed", True])
    return "status"


def other_version(content, chance):
    content["version"] = chance.choice(["2.0", "1", 1.0, ""])
    return "version"


def no_object(content, chance):
    index = chance.randrange(len(content["server_list"]))
    if chance.random() < 0.5:
        content["server_list"][index] = chance.choice([None, "server", 3, []])
        return f"server_list[{index}]"
    where, _ = any_device(content, chance)
    number = int(where.rpartition("[")[2].rstrip("]"))
    index = int(where.partition("[")[2].partition("]")[0])
    content["server_list"][index]["device"][number] = chance.choice([None, "0", 3, []])
    return where


MUTATIONS = (
    drop_key,
    drop_device_key,
    drop_server_key,
    wrong_count,
    repeated_rank,
    rank_too_large,
    not_a_number,
    wrong_card_address,
    loopback_card,
    wrong_server,
    repeated_server,
    repeated_card,
    repeated_address,
    no_devices,
    no_servers,
    not_completed,
    other_version,
    no_object,
)


@pytest.fixture(scope="module")
def table_file(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("tables") / "table.json"


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_mutated_tables_are_refused_before_anything_starts(
    mutation, table_file: Path, monkeypatch, capsys
) -> None:
    """18 kinds of damage at 20 random places each: 360 tables."""
    started = []
    monkeypatch.setattr(launch.launch_job, "run", started.append)
    monkeypatch.setattr(launch.launch_job, "new_log_dir", started.append)

    @settings(max_examples=20, database=None)
    @given(tables(), st.integers(0, 10**9))
    def refused(content, seed) -> None:
        size = total(content)
        named = mutation(content, random.Random(seed))
        table_file.write_text(json.dumps(content))
        code = launch.main([str(table_file), "run.yaml", f"[0,{size}]", "train", str(size)])
        message = capsys.readouterr().err
        assert code == 2
        assert message.startswith(f"{table_file}: ")
        for words in [named] if isinstance(named, str) else named:
            assert words in message

    refused()
    assert not started


@given(tables(), st.data())
def test_a_table_that_was_cut_off_is_refused(content, data) -> None:
    text = json.dumps(content)
    cut = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(ConfigError, match=r"line \d+, column \d+: not JSON"):
        rank_table.parse(text[:cut].encode())


def test_a_key_that_stands_twice_is_refused() -> None:
    text = json.dumps(documented_table()).replace(
        '"rank_id": "9"', '"rank_id": "9", "rank_id": "10"'
    )
    with pytest.raises(ConfigError, match=r"server_list\[1\]\.device\[1\]: the key 'rank_id'"):
        rank_table.parse(text.encode())


@pytest.mark.parametrize("data", [b"\xff\xfe", b"[" * 100_000, b"null", b'"text"', b"1" * 5000])
def test_what_is_no_table_at_all(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"table\.json: "):
        rank_table.read(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.json: the rank table cannot be read.*hccl_tools"):
        rank_table.read(tmp_path / "none.json")
    with (tmp_path / "big.json").open("wb") as file:
        file.truncate(rank_table.MAX_BYTES + 1)
    with pytest.raises(ConfigError, match="larger than"):
        rank_table.read(tmp_path / "big.json")


def test_loopback_addresses() -> None:
    """One machine may call itself 127.0.1.1, as Debian does; several may not."""
    content = documented_table()
    content["server_list"] = content["server_list"][:1]
    content["server_count"] = "1"
    content["server_list"][0]["server_id"] = "127.0.1.1"
    assert not parse(content).of_processes
    content = documented_table()
    content["server_list"][2]["server_id"] = "localhost"
    with pytest.raises(ConfigError, match=r"server_list\[2\]\.server_id: localhost leads back"):
        parse(content)
