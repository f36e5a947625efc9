"""The methods that open the others: auth.challenge and auth.login."""

from firmware import borrow
from firmware.control.auth import NONCE_LIFE_S, Gate, equal, new_nonce, response
from firmware.control.jsonrpc import ACCESS_DENIED, RpcError


class Access:
    """Who may log in, and when."""

    def __init__(self, app):
        self._app = app
        self._gate = Gate(app.clock)
        app.methods.add("auth.challenge", self._challenge)
        app.methods.add("auth.login", self._login, "response")

    def _challenge(self, session):
        """A new nonce; the one before is void."""
        self._check_delay(session)
        session.nonce = new_nonce()
        session.nonce_at = self._app.clock.uptime()
        return {"nonce": session.nonce, "algorithm": "HMAC-SHA256", "expires_s": NONCE_LIFE_S}

    def _check_delay(self, session):
        delay_s = self._gate.delay_s(session.address)
        if delay_s:
            raise RpcError(ACCESS_DENIED, f"too many failures: try again in {delay_s} s")

    def _login(self, session, answered):
        """Open the methods that change something, for this connection."""
        self._check_delay(session)
        nonce, session.nonce = session.nonce, None
        token = self._app.config["control"]["token"]
        if not token:
            raise RpcError(ACCESS_DENIED, "no control.token is configured on this board")
        if not nonce or self._app.clock.uptime() - session.nonce_at > NONCE_LIFE_S:
            raise RpcError(ACCESS_DENIED, "no challenge is open: call auth.challenge first")
        if not equal(response(token, nonce).encode(), str(answered).encode()):
            delay_s = self._gate.failed(session.address)
            self._app.log.warning("control", f"{session.address}: wrong answer to a challenge")
            raise RpcError(ACCESS_DENIED, f"wrong token: try again in {delay_s} s")
        self._gate.passed(session.address)
        session.authenticated = True
        self._app.log.info("login", f"{session.address} has logged in")
        if self._app.board.settings_on_trial:
            borrow("firmware.update.trial", "firmware.config_file").keep_settings(self._app)
        return True
