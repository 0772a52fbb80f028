"""The rank table: which rank runs on which card of which server. Read, checked, built, merged.

The format is that of HCCL ("ranktable", version 1.0): all values are strings, ranks are numbered
through over all servers. MindSpore only warns of a wrong table and goes on; here it is refused.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from typing import Any

from mindmlm.errors import ConfigError
from mindmlm.runtime.rank_table_entries import Entry, parse_json

VERSION = "1.0"
COMPLETED = "completed"
RESERVED = "reserve"
MAX_BYTES = 16 * 2**20
_LOCAL_SERVERS = 254


@dataclass(frozen=True)
class Device:
    """One card, or on a CPU one process.

    Args:
        device_id: number of the card on its server.
        device_ip: address of its network port; on a CPU that of the server.
        rank_id: number of the process in the job, from 0.
        other: keys that HCCL knows and mindmlm does not, kept as they are.
    """

    device_id: int
    device_ip: str
    rank_id: int
    other: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Server:
    """One machine with its cards; `other` as in `Device`."""

    server_id: str
    devices: tuple[Device, ...]
    host_nic_ip: str = RESERVED
    other: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RankTable:
    """All servers of a job. Made by `read`, `for_cards`, `for_processes` or `merge`."""

    servers: tuple[Server, ...]

    @property
    def rank_size(self) -> int:
        """Number of ranks."""
        return sum(len(server.devices) for server in self.servers)

    @property
    def of_processes(self) -> bool:
        """Whether the ranks are processes on this machine (a CPU) instead of Ascend cards."""
        return all(
            device.device_ip == server.server_id and ip_address(device.device_ip).is_loopback
            for server in self.servers
            for device in server.devices
        )

    def device(self, rank: int) -> Device:
        """The card of a rank; KeyError if there is none."""
        return self._places()[rank][1]

    def server(self, rank: int) -> Server:
        """The server of a rank; KeyError if there is none."""
        return self._places()[rank][0]

    def _places(self) -> dict[int, tuple[Server, Device]]:
        return {
            device.rank_id: (server, device) for server in self.servers for device in server.devices
        }

    def to_json(self) -> str:
        """The text of the file."""
        content = {
            "version": VERSION,
            "server_count": str(len(self.servers)),
            "server_list": [_server_to_json(server) for server in self.servers],
            "status": COMPLETED,
        }
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _server_to_json(server: Server) -> dict[str, Any]:
    return {
        "server_id": server.server_id,
        "device": [
            {
                "device_id": str(device.device_id),
                "device_ip": device.device_ip,
                "rank_id": str(device.rank_id),
                **device.other,
            }
            for device in server.devices
        ],
        "host_nic_ip": server.host_nic_ip,
        **server.other,
    }


def read(path: Path) -> RankTable:
    """Read and check a rank table.

    Raises:
        ConfigError: it cannot be read or is wrong; the message names file and entry.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: larger than {MAX_BYTES:,} bytes; this is no rank table")
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: the rank table cannot be read: {error.strerror}; make one with "
            "tools/hccl_tools.py"
        ) from None
    try:
        return parse(data)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def parse(data: bytes) -> RankTable:
    """Check the bytes of a rank table; see `read`."""
    root = Entry("", parse_json(data)).mapping("a JSON object with server_list")
    root["version"].one_of((VERSION,))
    status = root["status"]
    status.one_of((COMPLETED,), "the tool that makes the table writes it last")
    servers = tuple(_server(entry) for entry in root["server_list"].items("servers"))
    count = root["server_count"]
    if count.number() != len(servers):
        raise count.problem(f"{count.value} servers are announced, server_list has {len(servers)}")
    table = RankTable(servers)
    _check_ranks(table)
    _check_repetitions(table)
    _check_addresses(table)
    return table


def _server(entry: Entry) -> Server:
    values = entry.mapping("a server with server_id and device")
    server_id = values["server_id"]
    server_id.check_host()
    devices = tuple(_device(item) for item in values["device"].items("devices"))
    nic = values.get("host_nic_ip")
    return Server(
        server_id=server_id.text(),
        devices=devices,
        host_nic_ip=nic.text() if nic else RESERVED,
        other=values.others(("server_id", "device", "host_nic_ip")),
    )


def _device(entry: Entry) -> Device:
    values = entry.mapping("a device with device_id, device_ip and rank_id")
    values["device_ip"].check_ip()
    return Device(
        device_id=values["device_id"].number(),
        device_ip=values["device_ip"].text(),
        rank_id=values["rank_id"].number(),
        other=values.others(("device_id", "device_ip", "rank_id")),
    )


def _entries(table: RankTable) -> Iterator[tuple[str, Server, Device]]:
    for index, server in enumerate(table.servers):
        for number, device in enumerate(server.devices):
            yield f"server_list[{index}].device[{number}]", server, device


def _check_ranks(table: RankTable) -> None:
    """Every rank from 0 to the number of devices - 1, each once."""
    size = table.rank_size
    first: dict[int, str] = {}
    for where, _, device in _entries(table):
        rank = device.rank_id
        if rank in first:
            raise ConfigError(
                f"{where}.rank_id: {rank} stands twice, first at {first[rank]}; ranks go from 0 "
                f"to {size - 1}, each once"
            )
        first[rank] = where
    for rank, where in first.items():
        if rank >= size:
            missing = min(set(range(size)) - set(first))
            raise ConfigError(
                f"{where}.rank_id: {rank} is too large: the table has {size} devices, so ranks go "
                f"from 0 to {size - 1}, and {missing} is missing"
            )


def _check_repetitions(table: RankTable) -> None:
    """No server, no card and (but on a CPU) no address twice."""
    seen: dict[tuple[str, object], str] = {}

    def once(kind: str, value: object, where: str, shown: object) -> None:
        earlier = seen.setdefault((kind, value), where)
        if earlier != where:
            raise ConfigError(f"{where}: {shown} stands twice, first at {earlier}")

    for index, server in enumerate(table.servers):
        where = f"server_list[{index}].server_id"
        once("server", server.server_id, where, server.server_id)
    for where, server, device in _entries(table):
        card = (server.server_id, device.device_id)
        once("device", card, f"{where}.device_id", device.device_id)
        if not table.of_processes:
            once("address", ip_address(device.device_ip), f"{where}.device_ip", device.device_ip)


def _check_addresses(table: RankTable) -> None:
    """A loopback address reaches this machine only, so it may not stand for another one."""
    if table.of_processes:
        return
    for where, _, device in _entries(table):
        if ip_address(device.device_ip).is_loopback:
            raise ConfigError(
                f"{where}.device_ip: {device.device_ip} leads back to the same machine; in a table "
                "for processes (--device_target CPU) every device_ip is the server_id of its "
                "server, in one for Ascend none is a loopback address"
            )
    for index, server in enumerate(table.servers):
        if len(table.servers) > 1 and _is_loopback(server.server_id):
            raise ConfigError(
                f"server_list[{index}].server_id: {server.server_id} leads back to the same "
                "machine; give the address at which the other servers reach this one "
                "(hccl_tools.py --server_ip)"
            )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def for_cards(server_id: str, addresses: Mapping[int, str]) -> RankTable:
    """The table of one server with Ascend cards.

    Args:
        server_id: address of the server.
        addresses: number of the card to the address of its port, in the order of the ranks.

    Raises:
        ConfigError: an address is wrong or stands twice.
    """
    devices = tuple(
        Device(card, address, rank) for rank, (card, address) in enumerate(addresses.items())
    )
    return _checked(RankTable((Server(server_id, devices),)))


def for_processes(count: int, servers: int = 1) -> RankTable:
    """The table of `count` processes on this machine, as if it were `servers` machines.

    The servers are 127.0.0.1, 127.0.0.2 and so on; each has the same number of processes, whose
    device_id starts at 0 again.

    Raises:
        ConfigError: the processes cannot be divided evenly, or there are too many servers.
    """
    if not 1 <= servers <= _LOCAL_SERVERS:
        raise ConfigError(f"--server_num: {servers} is not between 1 and {_LOCAL_SERVERS}")
    if count % servers:
        raise ConfigError(
            f"--server_num: {count} processes cannot be divided among {servers} servers evenly"
        )
    each = count // servers
    return _checked(
        RankTable(
            tuple(
                Server(address, tuple(Device(i, address, index * each + i) for i in range(each)))
                for index in range(servers)
                for address in [str(IPv4Address("127.0.0.1") + index)]
            )
        )
    )


def merge(tables: Sequence[RankTable]) -> RankTable:
    """Join the servers of several tables in their order and number the ranks anew.

    Within a table the order of its ranks is kept.

    Raises:
        ConfigError: a server or an address stands in two of them.
    """
    servers: list[Server] = []
    offset = 0
    for table in tables:
        servers += (
            replace(
                server,
                devices=tuple(
                    replace(device, rank_id=device.rank_id + offset) for device in server.devices
                ),
            )
            for server in table.servers
        )
        offset += table.rank_size
    return _checked(RankTable(tuple(servers)))


def _checked(table: RankTable) -> RankTable:
    """The same table, after the checks that a file goes through."""
    return parse(table.to_json().encode())
