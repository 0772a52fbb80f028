"""The network addresses of this machine and of its Ascend cards."""

import re
import shutil
import socket
import subprocess
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from mindmlm.errors import ConfigError

HCCN_TOOL = Path("/usr/local/Ascend/driver/tools/hccn_tool")
HCCN_CONF = Path("/etc/hccn.conf")
_TOOL_SECONDS = 20
_TOOL_ADDRESS = re.compile(r"^\s*ipaddr\s*:\s*([0-9a-fA-F.:]+)", re.MULTILINE)
_CONF_ADDRESS = re.compile(r"^\s*address_(\d+)\s*=\s*([0-9a-fA-F.:]+)\s*$", re.MULTILINE)


def card_addresses(cards: Sequence[int]) -> dict[int, str]:
    """The address of the network port of each card, in the order given.

    `hccn_tool -i N -ip -g` is asked first; where it is missing or does not know all cards, the file
    /etc/hccn.conf is read.

    Raises:
        ConfigError: a card has no address in either; the message says what both gave.
    """
    from_tool, tool_problem = _ask_hccn_tool(cards)
    if tool_problem is None:
        return from_tool
    from_file, file_problem = _read_hccn_conf(cards)
    if file_problem is None:
        return from_file
    raise ConfigError(
        "the network addresses of the Ascend cards cannot be found\n"
        f"  hccn_tool: {tool_problem}\n"
        f"  {HCCN_CONF}: {file_problem}\n"
        "without Ascend cards make a table for processes with --device_target CPU"
    )


def parse_hccn_tool(text: str) -> str | None:
    """The address in the output of `hccn_tool -i N -ip -g`; None when there is none."""
    found = _TOOL_ADDRESS.search(text)
    return found[1] if found else None


def parse_hccn_conf(text: str) -> dict[int, str]:
    """Card to address, from the lines `address_N=ADDRESS`; all others are skipped."""
    return {int(card): address for card, address in _CONF_ADDRESS.findall(text)}


def _ask_hccn_tool(cards: Sequence[int]) -> tuple[dict[int, str], str | None]:
    """Addresses, and what is wrong with them."""
    tool = shutil.which("hccn_tool") or (str(HCCN_TOOL) if HCCN_TOOL.exists() else None)
    if tool is None:
        return {}, "is not installed"
    found = {}
    for card in cards:
        try:
            done = subprocess.run(
                [tool, "-i", str(card), "-ip", "-g"],
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=_TOOL_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return {}, f"card {card}: {error}"
        address = parse_hccn_tool(done.stdout)
        if address is None:
            said = (done.stdout + done.stderr).strip() or "nothing"
            return {}, f"card {card}: no line 'ipaddr:ADDRESS'; it said: {said[:200]}"
        found[card] = address
    return found, None


def _read_hccn_conf(cards: Sequence[int]) -> tuple[dict[int, str], str | None]:
    try:
        known = parse_hccn_conf(HCCN_CONF.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        return {}, f"cannot be read: {error.strerror}"
    for card in cards:
        if card not in known:
            there = ", ".join(str(name) for name in sorted(known)) or "no card"
            return {}, f"card {card}: no line address_{card}=...; it has {there}"
    return {card: known[card] for card in cards}, None


def this_machine() -> str:
    """The address at which other machines reach this one.

    Raises:
        ConfigError: there is no such address; the user has to name it.
    """
    address = _address_of_route() or _address_of_name()
    if address is None or ip_address(address).is_loopback:
        raise ConfigError(
            "the address of this machine cannot be found; name the one at which the other machines "
            "reach it with --server_ip"
        )
    return address


def _address_of_route() -> str | None:
    """The source address of packets to the outside; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return None


def _address_of_name() -> str | None:
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return None
