"""A button that removes the token, the networks and the other secrets, so that the board can be set up again.

It is for the owner of a board whose token is lost. Loaded if `boot.unclaim_button` is set.
"""

from firmware import borrow, const
from firmware.jsontext import dumps, loads
from firmware.log import describe

_HELD_MS = const(5000)
_REMOVED = const((("control", "token"), ("wifi", "networks"), ("ppp", "password"), ("ppp", "chat")))


class UnclaimButton:
    """The service that watches the button."""

    name = "unclaim"
    tick_s = 0.2

    def __init__(self):
        self._app = None
        self._pin = None
        self._released = False  # a pin that is low from the start is not a button
        self._since_ms = None

    def start(self, app):
        """Make the pin an input."""
        self._app = app
        pin_class = app.board.machine.Pin
        self._pin = pin_class(app.config["boot"]["unclaim_button"], pin_class.IN, pin_class.PULL_UP)

    def tick(self):
        """Check whether it is held long enough."""
        if self._pin.value():
            self._released = True
            self._since_ms = None
            return
        now = self._app.clock.uptime_ms()
        if self._since_ms is None:
            self._since_ms = now
        elif self._released and now - self._since_ms >= _HELD_MS:
            self._released = False  # once
            self._unclaim()

    def _unclaim(self):
        app = self._app
        given = loads(dumps(app.config.given))
        for section, key in _REMOVED:
            given.get(section, {}).pop(key, None)
        for section in ("ap", "mqtt"):  # needed for the set-up; the broker belongs to the former owner
            given.pop(section, None)
        if "http" in given:
            given["http"]["enabled"] = True  # the page is needed for the set-up
        files = borrow("firmware.config.file", "firmware.jsontext")
        try:
            files.forget_copy(app.board)
            files.replace(app.board, app.log, dumps(given))
        except OSError as error:
            app.log.error("unclaim", f"nothing is removed: {describe(error)}")
            return
        app.log.warning("unclaim", "the button was held: all secrets are removed")
        app.restart_later()
