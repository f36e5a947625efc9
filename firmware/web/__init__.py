"""The web server: the board's page, and its interfaces for programs over HTTP. Services add routes of their own.

GET /         the page (page.html, which tools/page.py packs)
POST /rpc     the control server's methods
GET /events   readings, log and network, as Server-Sent Events
GET /metrics  readings and counters for Prometheus
"""

import sys

from firmware import VERSION, borrow, const
from firmware.log import describe
from firmware.web.request import HttpError, Request, crowding
from XAsyncSockets import XAsyncTCPServer, XBufferSlots, XTimer

_LINE_BYTES = const(512)
_RETRY_S = const(5)  # pause until a port that was in use is tried again
_LOOPBACK = ("localhost", "127.0.0.1")  # for tunnels and emulators; an attacker cannot redirect these names


class WebServer:
    """The service. It listens, and has the routes."""

    name = "http"

    def __init__(self, places):
        self.places = places
        self.longest_body = 0
        self._app = None
        self._retry = self._timer = None
        self._listener = None
        self._connections = []
        self._routes = {}
        self._host = None  # the last host name in a request that was accepted
        self._fault = None

    def start(self, app):
        """Add the firmware's own routes; listening begins when the network is up."""
        self._app = app
        self._retry = XTimer(app.pool, self._listen)
        self._timer = XTimer(app.pool, self._tick)
        self.add("GET", "/", self._page)
        self.add("POST", "/rpc", self._call)
        self.add("GET", "/events", self._stream)
        self.add("GET", "/metrics", self._metrics)

    def add(self, method, path, handler):
        """Have handler(request) called for `method`, GET or POST, and `path`."""
        if method not in ("GET", "POST") or not path.startswith("/"):
            raise ValueError("add: method is GET or POST, path begins with /")
        self._routes[f"{method} {path}"] = handler

    def stop(self):
        """Close everything."""
        self.network_down("stopped")

    def network_up(self, _connection):
        """Listen on all addresses of the current network."""
        self._listen()

    def network_down(self, _reason):
        """Close the connections. They are dead, even if the system does not know it yet."""
        self._host = None
        self._retry.Cancel()
        if self._listener:
            self._listener.Close()
            self._listener = None
        for connection in list(self._connections):
            connection.close()

    def _listen(self, _=None):
        self.longest_body = self._app.config["control"]["line_bytes"]
        port = self._app.config["http"]["port"]
        if port is None:
            port = 8080 if hasattr(self._app.board.network, "Host") else 80  # on a computer
        most = self.places + 2  # a new one, and one that gets the error that all places are taken
        slots = XBufferSlots(most, _LINE_BYTES, keepAlloc=False)
        try:
            self._listener = XAsyncTCPServer.Create(
                self._app.pool, ("0.0.0.0", port), srvBacklog=most, recvBufSlots=slots
            )
        except Exception as error:
            fault = f"http.port {port}: {describe(error)}"
            if fault != self._fault:  # reported once, not at every attempt
                self._app.log.error("http", fault)
            self._fault = fault
            self._retry.Restart(_RETRY_S)
            return
        self._fault = None
        self._listener.OnClientAccepted = self._on_client
        self._app.log.info("http", self.url)
        self._publish()

    def _publish(self):
        """Let programs that look for web servers find it, if the image can do that (boards/rp2/lwip/dns_sd.c)."""
        try:
            module = __import__("dns_sd")
        except ImportError:
            return
        board = self._app.board
        module.publish(self._app.device, self.port, "path=/", f"kind={board.name}"[:40], f"version={VERSION}")

    @property
    def port(self):
        """The port in use, or None."""
        return self._listener.SrvAddr[1] if self._listener else None

    @property
    def url(self):
        """The address of the page, or None."""
        connection = self._app.bringup.connection
        if not connection or not self._listener:
            return None
        return f"http://{connection.address}/" if self.port == 80 else f"http://{connection.address}:{self.port}/"

    @property
    def clients(self):
        """The number of open connections."""
        return len(self._connections)

    # --- connections

    def _on_client(self, _listener, client):
        staying = [one for one in self._connections if not one.leaving]
        leaving = [one for one in self._connections if one.leaving and not one.closed]
        if leaving and len(staying) + len(leaving) > self.places:
            leaving[0].drop()
        is_full = len(staying) >= self.places
        if is_full:
            goes = self._to_close(staying, client.CliAddr[0])
            if goes:
                is_full = False
                goes.close()
        if not self._connections:
            self._timer.Restart(1)
        request = Request(self._app, self, client)
        self._connections.append(request)
        if is_full:
            request.refuse(503, f"at most {self.places} connections at a time", ("Retry-After: 1",))

    def _to_close(self, staying, address):
        """Return the connection that makes room: an idle one, or one of the address that has the most."""
        for one in staying:
            if one.is_idle:
                return one
        return crowding(staying, address)

    def _tick(self, _):
        if self._connections:
            self._timer.Restart(1)  # done first, so that the deadlines go on if something below fails
        for one in list(self._connections):
            try:
                one.pass_second()
            except Exception:  # there is no memory to report the timeout
                one.drop()

    def forget(self, request):
        """Remove a connection that is closed."""
        if request in self._connections:
            self._connections.remove(request)

    # --- requests

    def find(self, request):
        """Return the handler of a request. Raises HttpError."""
        host = request.headers["host"]
        if host != self._host:
            if not self._is_own(host):
                if not self._app.portal or not self.url:
                    raise HttpError(421, "this board has another name")
                raise HttpError(302, "the board's page", ("Location: " + self.url, "Cache-Control: no-store"))
            self._host = host
        handler = self._routes.get(f"{request.method} {request.path}")
        if not handler:
            self._tell_missing(request.path)
        if request.method == "POST" and request.is_foreign:
            raise HttpError(403, "a page of another site may not do this")
        return handler

    def _is_own(self, host):
        name, _, port = host.lower().partition(":")
        device = self._app.device.lower()
        connection = self._app.bringup.connection
        own = name in _LOOPBACK or name in (device, device + ".local") or connection and name == connection.address
        return own and (not port or port.isdigit())

    def _tell_missing(self, path):
        ending = " " + path
        methods = sorted(route.split(" ")[0] for route in self._routes if route.endswith(ending))
        if not methods:
            raise HttpError(404, "there is no such page")
        raise HttpError(405, f"only {' and '.join(methods)}", ("Allow: " + ", ".join(methods),))

    def _page(self, request):
        try:
            page = __import__("web_page")
        except ImportError:
            raise HttpError(404, "this firmware was installed without the page") from None
        sys.modules.pop("web_page")  # if the module is in the heap, it must not stay there
        headers = page.HEADERS
        if request.headers.get("if-none-match") == page.ETAG:
            return request.answer(304, None, b"", headers[:2])
        return request.answer(200, "text/html; charset=utf-8", page.PAGE, headers)

    def _call(self, request):
        from firmware.web.rpc import Rpc

        self._routes["POST /rpc"] = answer = Rpc(self._app).answer
        answer(request)

    def _stream(self, request):
        from firmware.web.events import Events

        self._routes["GET /events"] = add = Events(self._app, self.places // 2).add
        add(request)

    def _metrics(self, request):
        text = borrow("firmware.web.metrics").text(self._app)
        request.answer(200, "text/plain; version=0.0.4; charset=utf-8", text, ("Cache-Control: no-store",))
