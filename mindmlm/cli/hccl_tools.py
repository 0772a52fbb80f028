"""The command behind `tools/hccl_tools.py`."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mindmlm.errors import ConfigError, MindmlmError
from mindmlm.runtime import rank_table
from mindmlm.runtime.card_addresses import card_addresses, this_machine
from mindmlm.runtime.files import write_text_atomic
from mindmlm.runtime.launch.plan import parse_range
from mindmlm.runtime.rank_table import RankTable

_DESCRIPTION = """\
Make the rank table of this machine: which rank runs on which card, and at which address.

On Ascend the addresses come from hccn_tool, or else from /etc/hccn.conf. Run it on every machine
and join the files with tools/merge_hccl.py. With --device_target CPU the ranks are processes on
this machine, which may be divided among several servers (127.0.0.1, 127.0.0.2, ...) to rehearse a
job of several machines.
"""
_EXAMPLES = """\
examples:
  the eight cards of this machine
    python tools/hccl_tools.py --device_num "[0,8)"
  four cards, ranks 0 to 3 on the cards 4, 5, 6, 7
    python tools/hccl_tools.py --device_num "[0,4)" --visible_devices 4,5,6,7
  eight processes on this machine, as if they were four machines
    python tools/hccl_tools.py --device_num "[0,8)" --device_target CPU --server_num 4 \\
        --output table.json
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command."""
    parser = argparse.ArgumentParser(
        prog="hccl_tools.py",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--device_num",
        default="[0,8)",
        metavar='"[FIRST,END)"',
        help="range of the cards, END not included; default [0,8). It counts the places in "
        "--visible_devices when that is given, on a CPU the processes",
    )
    add("--visible_devices", default="", metavar="0,1,...", help="cards to choose from, in order")
    add("--server_ip", default="", help="address of this machine; default: of its route outside")
    add("--device_target", choices=["Ascend", "CPU"], default="Ascend", help="default Ascend")
    add("--server_num", type=int, help="on a CPU: servers to act as; default 1")
    add(
        "--output",
        type=Path,
        help="the file to write; default hccl_8p_01234567_ADDRESS.json here, by its content",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = build_parser().parse_args(argv)
    try:
        table = make_table(options)
        path = options.output or Path(default_name(table))
        write_table(table, path)
    except MindmlmError as error:
        print(f"hccl_tools.py: error: {error}", file=sys.stderr)
        return error.exit_code
    print(path)
    return 0


def make_table(options: argparse.Namespace) -> RankTable:
    """The table that the options ask for.

    Raises:
        ConfigError: the options do not fit, or an address cannot be found.
    """
    places = parse_range("--device_num", options.device_num)
    if options.device_target == "CPU":
        for name in ("visible_devices", "server_ip"):
            if getattr(options, name):
                raise ConfigError(f"--{name}: is for Ascend; processes are on this machine")
        if places.start:
            raise ConfigError(f"--device_num: {options.device_num}: processes start at 0 on a CPU")
        servers = 1 if options.server_num is None else options.server_num
        return rank_table.for_processes(len(places), servers)
    if options.server_num is not None:
        raise ConfigError(
            "--server_num: is for --device_target CPU; on Ascend run this on every machine and "
            "join the files with tools/merge_hccl.py"
        )
    cards = choose_cards(places, options.visible_devices)
    return rank_table.for_cards(options.server_ip or this_machine(), card_addresses(cards))


def choose_cards(places: range, visible_devices: str) -> list[int]:
    """The cards at these places of `visible_devices`, or with the same numbers without it.

    Raises:
        ConfigError: a word is no number, stands twice, or there are too few.
    """
    if not visible_devices:
        return list(places)
    words = [word.strip() for word in visible_devices.split(",")]
    for word in words:
        if not (word.isascii() and word.isdigit()) or len(word) > 5:
            raise ConfigError(f"--visible_devices: {word!r} is no number of a card")
    cards = [int(word) for word in words]
    if len(set(cards)) < len(cards):
        raise ConfigError(f"--visible_devices: {visible_devices}: a card stands twice")
    if places.stop > len(cards):
        raise ConfigError(
            f"--device_num: [{places.start},{places.stop}) goes beyond the {len(cards)} cards of "
            "--visible_devices, whose places it counts"
        )
    return [cards[place] for place in places]


def default_name(table: RankTable) -> str:
    """The file name that users of MindFormers know."""
    if len(table.servers) > 1:
        return f"hccl_{len(table.servers)}s_{table.rank_size}p.json"
    server = table.servers[0]
    cards = "".join(str(device.device_id) for device in server.devices)
    return f"hccl_{table.rank_size}p_{cards}_{server.server_id}.json"


def write_table(table: RankTable, path: Path) -> None:
    """Write a rank table.

    Raises:
        ConfigError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomic(path, table.to_json())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
