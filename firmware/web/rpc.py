"""POST /rpc: the control server's methods over HTTP. A session is a random key, which is sent with each request."""

import binascii
import os

from firmware import const
from firmware.control.jsonrpc import METHOD_NOT_FOUND, RpcError
from firmware.control.session import Caller, visitor
from firmware.web.request import HttpError

_SESSIONS = const(4)  # sessions that have logged in, and as many that have not
_LIFE_MS = const(600000)  # after the last request
_KEY_BYTES = const(16)
_JSON = const("application/json")


class WebSession(Caller):
    """An HTTP client. It exists for one request, or longer after it has requested a challenge."""

    key = None
    used = 0

    def __init__(self, rpc, server, address):
        super().__init__(server, address, visitor(server, address))
        self._rpc = rpc

    def call(self, method, params):
        """Call a method, as over TCP. A challenge begins a session."""
        if method == "telemetry.subscribe":
            raise RpcError(METHOD_NOT_FOUND, "HTTP has no notifications: GET /events brings the readings")
        result = super().call(method, params)
        if method == "auth.challenge":
            self._rpc.keep(self)
            result["session"] = self.key
        elif method == "auth.login":
            self._rpc.make_room(True)
        return result


class Rpc:
    """The requests and the sessions."""

    def __init__(self, app):
        self._app = app
        self._server = app.services.get("control")
        if not hasattr(self._server, "others"):
            raise HttpError(503, "there is no control server")

    def answer(self, request):
        """Answer a request or a batch."""
        headers = request.headers
        kind = headers.get("content-type", "")
        if kind != _JSON and kind.partition(";")[0].strip().lower() != _JSON:
            raise HttpError(415, f"/rpc needs Content-Type: {_JSON}")
        if headers.get("x-board") != "1":
            raise HttpError(403, "the header X-Board: 1 is missing")
        try:
            text = str(request.body, "utf-8")
        except ValueError:
            raise HttpError(400, "the body is not UTF-8") from None
        caller = self._caller(request, headers.get("x-session"))
        found = caller.reply(text, caller.call if caller.within_rate() else caller.refuse_call)
        if found is None:  # there were only notifications
            request.answer(204, None, b"")
        else:
            request.answer(200, _JSON, found, ("Cache-Control: no-store",))

    def _caller(self, request, key):
        others = self._server.others
        now = self._app.clock.uptime_ms()
        while others and now - others[0].used > _LIFE_MS:
            others.pop(0)
        for one in others if key else ():
            if one.key == key:
                others.remove(one)
                others.append(one)  # sorted: the most recently used session is the last
                one.used = now
                return one
        if not request.caller or request.caller.key:
            request.caller = WebSession(self, self._server, request.address)
        request.caller.used = now
        return request.caller

    def keep(self, caller):
        """Make `caller` a session, the only one of its address that has not logged in yet."""
        if caller.key:
            return
        caller.key = binascii.hexlify(os.urandom(_KEY_BYTES)).decode()
        others = self._server.others
        for one in others:
            if one.address == caller.address and not one.authenticated:
                others.remove(one)
                break
        others.append(caller)
        self.make_room(False)

    def make_room(self, authenticated):
        """If there are too many sessions, remove the least recently used one."""
        others = self._server.others
        alike = [one for one in others if one.authenticated == authenticated]
        if len(alike) > _SESSIONS:
            others.remove(alike[0])
