"""POST /rpc: the control server's methods by HTTP. A session is a random key, sent with each request."""

import binascii
import os

from firmware import const
from firmware.control import Caller
from firmware.control.jsonrpc import METHOD_NOT_FOUND, RpcError
from firmware.web.request import HttpError

_SESSIONS = const(4)  # that have logged in, and as many that have not yet
_LIFE_MS = const(600000)  # after the last request
_KEY_BYTES = const(16)


class WebSession(Caller):
    """A client by HTTP, for one request or, once it has asked for a challenge, for more."""

    key = None
    used = 0

    def __init__(self, rpc, server, address):
        super().__init__(server, address, server.visitor(address))
        self._rpc = rpc

    def call(self, method, params):
        """As by TCP; a challenge begins a session."""
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

    @property
    def _server(self):
        server = self._app.services.get("control")
        if not hasattr(server, "others"):
            raise HttpError(503, "there is no control server")
        return server

    def answer(self, request):
        """Answer a request or a batch."""
        headers = request.headers
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise HttpError(415, "Content-Type: application/json is what /rpc takes")
        if headers.get("x-board") != "1":
            raise HttpError(403, "the header X-Board: 1 is missing")
        try:
            text = str(request.body, "utf-8")
        except ValueError:
            raise HttpError(400, "the body is not UTF-8") from None
        caller = self._caller(headers.get("x-session"), request.address)
        call = caller.call if caller.within_rate() else caller.refuse_call
        found = caller.reply(text, call)
        if found is None:  # only notifications
            request.answer(204, None, b"")
        else:
            request.answer(200, "application/json", found, ("Cache-Control: no-store",))

    def _caller(self, key, address):
        server = self._server
        now = self._app.clock.uptime_ms()
        server.others[:] = [one for one in server.others if now - one.used < _LIFE_MS]
        for caller in server.others:
            if caller.key == key:
                server.others.remove(caller)
                server.others.append(caller)  # the last is the one that was used last
                break
        else:
            caller = WebSession(self, server, address)
        caller.used = now
        return caller

    def keep(self, caller):
        """From now on it is a session, the only one of its address that has not logged in yet."""
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
        """Forget the one that was used least lately, where there are too many."""
        others = self._server.others
        alike = [one for one in others if one.authenticated == authenticated]
        if len(alike) > _SESSIONS:
            others.remove(alike[0])
