"""Finds the address of a board's name: from the system, or else from the board's own broadcast."""

import socket
import sys

from tools.board.client import parse_host
from tools.board.errors import Unreachable
from tools.board.listener import Listener

_LISTEN_S = 6  # a little more than the firmware's interval
_CONNECT_S = 1


def _is_known(host):
    try:
        socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return True
    except (OSError, UnicodeError):
        return False


def find(text, udp_port, seconds=_LISTEN_S):
    """Return ("host:port", True if only a broadcast says so) for the user's name of the board. Raises Unreachable.

    Anybody can send a broadcast in a board's name, so a board found by one gets no secret.
    """
    host, port = parse_host(text)
    name = host[: -len(".local")] if host.lower().endswith(".local") else host
    if "." in name or _is_known(host):
        return f"{host}:{port}", False
    found = None
    with Listener(udp_port) as listener:
        for record in listener.records(seconds):
            if record and record.device.lower() == name.lower():
                found = record.address, record.port if record.port and text == host else port
                if record.port or _answers(*found):  # otherwise it will announce another port
                    break
    if not found:
        raise Unreachable(
            f"there is no host named {host!r}, and no board of that name was heard within {seconds:g} s; "
            "'discover' lists the boards in reach"
        )
    print(f"board: {name} is {found[0]}, by its broadcast", file=sys.stderr, flush=True)
    return f"{found[0]}:{found[1]}", True


def _answers(address, port):
    try:
        socket.create_connection((address, port), _CONNECT_S).close()
        return True
    except OSError:
        return False
