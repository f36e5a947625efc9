"""The point-to-point protocol over a UART, to a modem. firmware/network/__init__.py describes the methods."""

from firmware import borrow
from firmware.network import CONNECTING, FAILED, UP, Interface


class PppLink(Interface):
    """A PPP link: to a cellular modem, or the emulated board's only network."""

    name = "ppp"

    def __init__(self, board, settings, clock):
        super().__init__()
        self._board = board
        self._settings = settings
        self._clock = clock
        self._uart = None
        self._chat = None  # the dialogue with the modem before PPP

    def _make_uart(self):
        settings = self._settings
        if settings["uart"] is None:
            return self._board.uart(settings["baud"])
        machine = self._board.machine
        pins = {}
        for name in ("tx", "rx"):
            if settings[name] is not None:
                pins[name] = machine.Pin(settings[name])
        return machine.UART(settings["uart"], settings["baud"], rxbuf=4096, **pins)

    def start(self):
        """Dial."""
        self._uart = self._uart or self._make_uart()
        if self._settings["chat"]:
            chat = borrow("firmware.network.chat")
            self._chat = chat.talk(self._uart, self._settings["chat"], self._clock, self._is_closing)
        else:
            self._connect()

    def _connect(self):
        ppp_class = self._board.network.PPP
        if not self.interface:
            self.interface = ppp_class(self._uart)
        options = {}
        if self._settings["user"]:
            security = getattr(ppp_class, "SEC_CHAP", getattr(ppp_class, "SEC_PAP", None))
            options = {"security": security, "user": self._settings["user"], "key": self._settings["password"]}
        self.interface.connect(**options)

    def _status(self):
        """Return lwIP's state. Its error codes are negative here."""
        status = self.interface.status() if hasattr(self.interface, "status") else 0
        return status if isinstance(status, int) else 0

    def _is_closing(self):
        """Return True while PPP of the last attempt still reads from the line."""
        return self._status() > 1

    def poll(self):
        """Return the state that the modem reports, then the state of PPP."""
        if self._chat:
            return self._talk()
        state = super().poll()
        status = 0 if state == UP else self._status()
        if status < 0:
            self.reason = f"PPP error {-status}"
            return FAILED
        return state

    def _talk(self):
        try:
            self.late = next(self._chat)
        except StopIteration:
            self._chat = None
            self.late = None
            self._connect()
        except ValueError:
            self.broken = True  # another attempt could lock the SIM
            raise
        return CONNECTING

    def stop(self):
        """Hang up."""
        self._chat = None
        self.late = None
        if self.interface:
            self.interface.disconnect()
