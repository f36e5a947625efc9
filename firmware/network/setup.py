"""setup.status and setup.save: a new board gets its network, name and token over its own access point.

A board with a token accepts them only from its owner, who has to log in.
"""

from firmware import borrow, const
from firmware.config import ConfigError
from firmware.control.jsonrpc import ACCESS_DENIED, RpcError
from firmware.jsontext import dumps, loads

_MOST_NETWORKS = const(8)  # of a configuration


class Setup:
    """The service that offers these methods."""

    name = "setup"

    def __init__(self):
        self._app = None

    def start(self, app):
        """Offer the methods. They check access by themselves, because a new board has no token."""
        self._app = app
        app.methods.add("setup.status", self._status, "scan?")
        app.methods.add("setup.save", self._save, "ssid password? name? token?")

    @property
    def _claimed(self):
        return bool(self._app.config["control"]["token"])

    def _allows(self, session):
        portal = self._app.portal
        if self._claimed or not portal:
            return session.authenticated
        return portal.has_guest(session.address)

    def _status(self, session, scan=False):
        portal = self._app.portal
        allowed = self._allows(session)
        if scan is True and allowed and portal:
            portal.scan()
        return {
            "claimed": self._claimed,
            "allowed": allowed,
            "device": self._app.device,
            "networks": portal.networks if allowed and portal else [],
            "reason": self._reason(),
            "portal": portal is not None,
        }

    def _reason(self):
        """Return the reason why the first of the configured networks was not joined the last time."""
        networks = self._app.config["wifi"]["networks"]
        if self._app.bringup.state == "up" or not networks:
            return None
        start = f"wifi '{networks[0]['ssid']}': "
        for event in reversed(self._app.bringup.history):
            if event["text"].startswith(start):
                return event["text"]
        return None

    def _save(self, session, ssid, password="", name="", token=""):
        app = self._app
        if not self._allows(session):
            raise RpcError(
                ACCESS_DENIED,
                "the board has a token: auth.challenge and auth.login first"
                if self._claimed
                else "a board without a token is set up over its own Wi-Fi network only",
            )
        given = loads(dumps(app.config.given))
        wifi = given.setdefault("wifi", {})
        wifi["networks"] = _with_first(wifi.get("networks", []), {"ssid": ssid, "password": password})
        if name:
            given.setdefault("device", {})["name"] = name
        given.setdefault("control", {})["token"] = self._token(token)
        self._keep(given)
        app.log.info("setup", f"{session.address} has set the board up")
        app.restart_later()
        return True

    def _token(self, token):
        """Return the token that is valid from now on."""
        known = self._app.config["control"]["token"]
        if not known and not token:
            raise ConfigError("control.token: a new board needs one, 8 to 64 bytes")
        if known and token and token != known:
            raise ConfigError("control.token: this board has one; config.set changes it")
        return known or token

    def _keep(self, given):
        """Check these settings and save them. They are on trial only if the board would open no network of its own."""
        app = self._app
        config = app.config
        before = config.given
        config.use(given, config.source)
        try:
            if config["ap"]["enabled"] and hasattr(app.board.network, "WLAN"):
                borrow("firmware.config.file", "firmware.jsontext").replace(app.board, app.log, dumps(given))
            else:
                config.save()
        except Exception:
            config.use(before, config.source)
            raise


def _with_first(networks, network):
    """Return `networks` with `network` first. Its other settings are kept."""
    others = []
    for one in networks:
        if one["ssid"] == network["ssid"]:
            network = dict(one, **network)
        else:
            others.append(one)
    return [network] + others[: _MOST_NETWORKS - 1]
