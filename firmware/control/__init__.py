"""The control server: JSON-RPC 2.0 over TCP, one request or batch per line, and plain words for people.

A line that begins with a letter is plain: `gpio.write pin=2 value=1` is answered with text. All others are JSON.
A request beyond a limit gets an error that names the limit. Only the sender's address is affected. A client that is
not logged in may lose its place to another: see session.py. If the board has a certificate, all connections use TLS.
"""

from firmware import Lean, borrow, const, make
from firmware.log import describe
from XAsyncSockets import XAsyncTCPServer, XBufferSlots, XTimer

_DEFAULT_PORT = const(8095)
_RETRY_S = const(5)  # pause until a port that was in use is tried again


class Methods(Lean):
    """All methods by name. A part that is not loaded yet is known by its methods' names, until one is called."""

    SELDOM = "firmware.control.jsonrpc firmware.jsontext"

    def __init__(self, log):
        self.log = log
        self.known = {}  # name: (function, usage, text, writes)
        self.offers = []  # (names separated by spaces, the function that loads them, its arguments)

    def add(self, name, function, params="", text="", writes=False):
        """Offer `name`. `params` are names separated by spaces, with "?" after those that are optional.

        `function(session, *params)` returns a value for JSON; ValueError and KeyError mean a wrong parameter. Omitted
        parameters are not passed, so the function needs defaults for them.
        """
        self.known[name] = (function, params, text, writes)

    def offer(self, names, load, *args):
        """Offer the methods `names`, separated by spaces; `load(*args)` adds them when one is called."""
        self.offers.append((names, load, args))


class ControlServer:
    """The service that listens and keeps the sessions."""

    name = "control"
    tls = None  # its SSLContext
    _listener = None
    _port = None  # used in safe mode if the configured one cannot be

    def __init__(self):
        self.sessions = []
        self.others = []  # callers without a connection to this server
        self.visitors = {}  # address: Visitor

    def start(self, app):
        """Offer the methods for logging in. Listening begins when the network is up."""
        self.app = app
        self.token = app.config["control"]["token"]  # until the next boot, even if the configuration changes
        self._retry = XTimer(app.pool, self._listen)
        app.methods.offer("auth.challenge auth.login", make, "firmware.control.access offer", app)

    def stop(self):
        """Close everything."""
        self.network_down("stopped")

    def network_up(self, _connection):
        """Listen on all addresses of the current network."""
        self._listen()

    def network_down(self, _reason):
        """Close the connections. They are dead, even if the system does not know it yet."""
        self._retry.Cancel()
        if self._listener:
            self._listener.Close()
            self._listener = None
        for session in list(self.sessions):
            session.close()

    def _listen(self, _=None):
        settings = self.app.config["control"]
        # Two more than `clients`: one for a newcomer, and one for a client that gets the error that all places are
        # taken. They may all connect while the board is busy. An RP2 resets a connection if the backlog is full
        # (extmod/modlwip.c).
        places = settings["clients"] + 2
        port = self._port or settings["port"]
        slots = XBufferSlots(places, settings["line_bytes"], keepAlloc=False)
        try:
            self.tls = borrow("firmware.control.tls").context(self.app.board.path, settings)
            self._listener = XAsyncTCPServer.Create(
                self.app.pool, ("0.0.0.0", port), srvBacklog=places, recvBufSlots=slots
            )
        except Exception as error:
            self.app.log.error("control", f"control.port {port}: {describe(error)}")
            if self.app.safe_reason:
                self._port = None if self._port else _DEFAULT_PORT
            self._retry.Restart(_RETRY_S)
            return
        self._listener.OnClientAccepted = self._on_client

    def _on_client(self, _, client):
        self.app.soon.append((self._admit, client))

    def _admit(self, client):
        try:
            from firmware.control import session  # which stays

            session.admit(self, client)
        except Exception as error:  # no memory for it or for its session
            self.app.log.warning("control", f"{client.CliAddr[0]}: {describe(error)}")
            client.Close()

    @property
    def port(self):
        """The port in use, or None."""
        return self._listener.SrvAddr[1] if self._listener else None

    @property
    def clients(self):
        """The number of connected clients."""
        return len(self.sessions)
