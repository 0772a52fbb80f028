"""Messages between launchers, one line of JSON each."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

_SEND_SECONDS = 2.0
_MOST_BYTES = 1 << 16


class Connection:
    """A socket that carries lines of JSON and never blocks for long.

    Attributes:
        closed: whether nothing can come any more.
        ranks: of the launcher at the other end, once it has said so.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._received = b""
        self.closed = False
        self.ranks: tuple[int, ...] | None = None
        sock.setblocking(False)

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; a connection that does not take it counts as closed."""
        try:
            self._socket.settimeout(_SEND_SECONDS)
            self._socket.sendall(json.dumps(message).encode() + b"\n")
            self._socket.setblocking(False)
        except OSError:
            self.closed = True

    def receive(self) -> Iterator[dict[str, Any]]:
        """The messages that have come since the last call; anything else closes the connection."""
        self._read()
        *lines, self._received = self._received.split(b"\n")
        if len(self._received) > _MOST_BYTES:
            self.close()
        for line in lines:
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                message = None
            if not isinstance(message, dict):
                self.close()
                return
            yield message

    def _read(self) -> None:
        with suppress(BlockingIOError):
            while not self.closed and len(self._received) <= _MOST_BYTES:
                data = self._receive_some()
                self.closed = not data
                self._received += data

    def _receive_some(self) -> bytes:
        try:
            return self._socket.recv(4096)
        except BlockingIOError:
            raise
        except OSError:
            return b""

    def close(self) -> None:
        """Close it."""
        self.closed = True
        self._socket.close()
