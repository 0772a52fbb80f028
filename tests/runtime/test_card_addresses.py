"""Addresses of Ascend cards, from recorded outputs of hccn_tool and a recorded hccn.conf."""

import sys
from pathlib import Path

import pytest

from mindmlm.errors import ConfigError
from mindmlm.runtime import card_addresses
from mindmlm.runtime.card_addresses import parse_hccn_conf, parse_hccn_tool

HCCN_CONF = """\
# written by hccn_tool
address_0=192.168.10.21
netmask_0=255.255.255.0
netdetect_0=192.168.10.1
gateway_0=192.168.10.1
address_1=192.168.20.21
netmask_1=255.255.255.0
send_arp_status_0=1
address_10=192.168.10.31
netmask_10=255.255.255.0
  address_11 = 192.168.20.31
arp_0=0 192.168.10.22 address_5=9.9.9.9
"""


def test_recorded_output_of_hccn_tool() -> None:
    assert parse_hccn_tool("ipaddr:192.1.27.6\nnetmask:255.255.255.0\n") == "192.1.27.6"
    assert parse_hccn_tool("ipaddr: 192.1.27.6\r\nnetmask: 255.255.0.0\r\n") == "192.1.27.6"
    assert parse_hccn_tool("ipaddr:fd00::6\nprefix:64\n") == "fd00::6"
    assert parse_hccn_tool("hccn_tool is busy, please try again\nCmd execute failed!\n") is None
    assert parse_hccn_tool("netmask:255.255.255.0\n") is None
    assert parse_hccn_tool("") is None


def test_recorded_hccn_conf() -> None:
    assert parse_hccn_conf(HCCN_CONF) == {
        0: "192.168.10.21",
        1: "192.168.20.21",
        10: "192.168.10.31",
        11: "192.168.20.31",
    }
    assert parse_hccn_conf("") == {}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch):
    """A machine whose hccn_tool runs the given Python program, and whose hccn.conf is given."""

    def make(tool: str | None = None, conf: str | None = None) -> None:
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        monkeypatch.setattr(card_addresses, "HCCN_TOOL", tmp_path / "no_such_tool")
        monkeypatch.setattr(card_addresses, "HCCN_CONF", tmp_path / "hccn.conf")
        (tmp_path / "bin").mkdir(exist_ok=True)
        if tool is not None:
            path = tmp_path / "bin" / "hccn_tool"
            path.write_text(f"#!{sys.executable}\nimport sys\n{tool}\n")
            path.chmod(0o755)
        if conf is not None:
            (tmp_path / "hccn.conf").write_text(conf)

    return make


ANSWERS = """
assert sys.argv[1] == "-i" and sys.argv[3:] == ["-ip", "-g"], sys.argv
print(f"ipaddr:192.168.{int(sys.argv[2]) % 4}.{int(sys.argv[2]) + 1}")
print("netmask:255.255.255.0")
"""


def test_hccn_tool_is_asked_for_each_card(machine) -> None:
    machine(ANSWERS, HCCN_CONF)
    assert card_addresses.card_addresses([10, 0, 15]) == {
        10: "192.168.2.11",
        0: "192.168.0.1",
        15: "192.168.3.16",
    }
    assert list(card_addresses.card_addresses([10, 0, 15])) == [10, 0, 15]


def test_without_the_tool_the_file_is_read(machine) -> None:
    machine(conf=HCCN_CONF)
    assert card_addresses.card_addresses([11, 0]) == {11: "192.168.20.31", 0: "192.168.10.21"}


def test_with_a_tool_that_fails_the_file_is_read(machine) -> None:
    machine("print('Cmd execute failed!'); sys.exit(1)", HCCN_CONF)
    assert card_addresses.card_addresses([1]) == {1: "192.168.20.21"}


def test_an_address_that_is_nowhere(machine) -> None:
    machine("print('no such device')", HCCN_CONF)
    with pytest.raises(ConfigError) as error:
        card_addresses.card_addresses([0, 7])
    text = str(error.value)
    assert "hccn_tool: card 0: no line 'ipaddr:ADDRESS'; it said: no such device" in text
    assert "hccn.conf: card 7: no line address_7=...; it has 0, 1, 10, 11" in text
    assert "--device_target CPU" in text


def test_a_machine_without_ascend(machine) -> None:
    machine()
    with pytest.raises(
        ConfigError, match=r"hccn_tool: is not installed\n.*cannot be read: No such"
    ):
        card_addresses.card_addresses([0])


def test_the_address_of_this_machine(monkeypatch) -> None:
    monkeypatch.setattr(card_addresses, "_address_of_route", lambda: None)
    monkeypatch.setattr(card_addresses, "_address_of_name", lambda: "10.1.2.3")
    assert card_addresses.this_machine() == "10.1.2.3"
    for answer in (None, "127.0.1.1"):
        monkeypatch.setattr(card_addresses, "_address_of_name", lambda value=answer: value)
        with pytest.raises(ConfigError, match="--server_ip"):
            card_addresses.this_machine()
