"""The board's own network if the page is enabled: it leads a phone to the page. It is loaded when it first opens.

Every name that a guest looks up has the board's address (DNS, RFC 1035). The web server redirects requests for other
hosts. The board scans for networks before it opens, because a scan takes the radio off the guests' channel.
"""

from firmware import const
from firmware.log import describe
from firmware.network import guarded
from firmware.network.access_point import AccessPointLink
from XAsyncSockets import XAsyncUDPDatagram

_PORT = const(53)
_LONGEST = const(512)  # bytes of a datagram, without extensions
_HEADER = const(12)
_NOT_A_QUERY = const(0xFA)  # flags of an answer, another operation, or a truncated query
_AUTHORITATIVE_ANSWER = const(0x84)
_RECURSION_DESIRED = const(1)
_RECURSION_AVAILABLE = const(0x80)
_LONGEST_LABEL = const(63)
_LONGEST_NAME = const(255)
_A_IN = const(b"\x00\x01\x00\x01")
_ONE = const(b"\x00\x01")
_NONE = const(b"\x00\x00")
_ITS_NAME_FOR_60_S = const(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04")
_LONGEST_SCAN_S = const(5)
_SCAN_PAUSE_S = const(10)  # otherwise a guest could keep the board scanning all the time
_MOST_NETWORKS = const(16)


def answer(query, address):
    """Return the datagram that answers `query`; None if it is not a query with one question. `address` is the board's,
    4 bytes.

    Only an IPv4 address is given. For other types (IPv6, HTTPS) the answer is empty, so that the client stops asking.
    """
    if not _HEADER < len(query) <= _LONGEST or query[2] & _NOT_A_QUERY or query[4:10] != _ONE + _NONE + _NONE:
        return None
    at = _HEADER
    while at < len(query) and query[at]:
        if query[at] > _LONGEST_LABEL:
            return None
        at += 1 + query[at]
    end = at + 1 + len(_A_IN)
    if end > len(query) or at - _HEADER >= _LONGEST_NAME:
        return None
    question = query[_HEADER:end]
    found = question[-len(_A_IN) :] == _A_IN
    flags = bytes((_AUTHORITATIVE_ANSWER | query[2] & _RECURSION_DESIRED, _RECURSION_AVAILABLE))
    head = query[:2] + flags + _ONE + (_ONE if found else _NONE) + _NONE + _NONE
    return head + question + (_ITS_NAME_FOR_60_S + address if found else b"")


class Portal(AccessPointLink):
    """The access point, its name server, and the networks from which a guest may choose."""

    def __init__(self, app):
        super().__init__(app.board.network, app.config["ap"], app.device)
        self._app = app
        self._socket = None
        self.port = 0 if hasattr(app.board.network, "Host") else _PORT  # a computer may use that port itself
        self._scan_at = 0  # uptime from which a scan is allowed again
        self.networks = []  # [{"ssid", "rssi", "open"}], the strongest first

    def start(self):
        """Open the network."""
        self.scan()
        super().start()
        self._app.portal = self
        self._listen()

    def stop(self):
        """Close the network."""
        self._app.portal = None
        if self._socket:
            self._socket.Close()
            self._socket = None
        super().stop()

    def has_guest(self, address):
        """Return whether `address` is in this network."""
        return address.rsplit(".", 1)[0] == self.address()[0].rsplit(".", 1)[0]

    def scan(self):
        """Scan for networks, at most every 10 s. This takes 2 seconds, in which the board does nothing else."""
        board = self._app.board
        uptime = self._app.clock.uptime
        if 0 < board.watchdog_s < _LONGEST_SCAN_S or uptime() < self._scan_at:
            return
        board.feed_watchdog()
        found, error = guarded(self._scan)
        self._scan_at = uptime() + _SCAN_PAUSE_S
        board.feed_watchdog()
        if error:
            self._app.log.warning("network", f"no scan: {error}")
        else:
            self.networks = _strongest_first(found)

    def _scan(self):
        network = self._network
        network.country(self._app.config["wifi"]["country"])
        kind = getattr(network.WLAN, "IF_STA", None)
        station = network.WLAN(network.STA_IF if kind is None else kind)
        station.active(True)
        return station.scan()

    # --- the name server

    def _listen(self):
        if self._socket:  # left over from a start that failed
            return
        try:
            self._socket = XAsyncUDPDatagram.Create(self._app.pool, ("0.0.0.0", self.port), recvbufLen=_LONGEST)
        except Exception as error:
            self._app.log.warning("network", f"phones are not led to the page: {describe(error)}")
            return
        self._socket.OnRecv = self._on_query

    def _on_query(self, socket, sender, query):
        address = bytes(int(part) for part in self.address()[0].split("."))
        told = answer(bytes(query), address)
        if told:
            socket.AsyncSendDatagram(told, sender)


def _strongest_first(found):
    """Return the networks of a scan, each name once. Hidden networks and names that are not text are left out."""
    strongest = {}  # type: dict
    for name, _, _, rssi, security, *_ in found:
        try:
            ssid = name.decode()
        except UnicodeError:
            continue
        if ssid and (ssid not in strongest or strongest[ssid]["rssi"] < rssi):
            strongest[ssid] = {"ssid": ssid, "rssi": rssi, "open": not security}
    return sorted(strongest.values(), key=lambda one: -one["rssi"])[:_MOST_NETWORKS]
