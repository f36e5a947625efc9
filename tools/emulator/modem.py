"""A cellular modem between a board and the computer's end of PPP. It is controlled by AT commands (ITU-T V.250).

It answers commands until `ATD*99#` puts it online. Then it passes bytes on. It returns to commands when PPP ends, or
when "+++" arrives between two pauses. `pin` is the PIN of its SIM, which is locked after three wrong ones. With `apn`,
the modem goes online only with this access point name.
"""

GUARD_SEC = 1
PIN_TRIES = 3


class Modem:
    """A modem. It calls `send` with the bytes for the board."""

    def __init__(self, send, pin=None, apn=None):
        self._send = send
        self._pin = pin
        self._apn = apn
        self._is_unlocked = pin is None
        self._context = None  # the APN that the board has set
        self._pending = b""
        self._heard = 0.0  # the time of the last bytes
        self._escape = False  # "+++" has arrived after a pause
        self._echo = True
        self._has_call = False  # True while online, also if "+++" has returned it to commands
        self.on_end = lambda: None  # called when the board has ended a call
        self.said = []  # the commands received, in order
        self.pin_tries = PIN_TRIES
        self.online = False

    def receive(self, data, now):
        """Return the part of `data` for the network; the rest is answered."""
        silence, self._heard = now - self._heard, now
        self._escape = False
        if not self.online:
            self._read_commands(data)
            return b""
        self._escape = data == b"+++" and silence >= GUARD_SEC
        return b"" if self._escape else data

    def tick(self, now):
        """Handle the passing of time. Call this about every half second."""
        if self._escape and now - self._heard >= GUARD_SEC:
            self._escape = False
            self.online = False
            self._answer("OK")

    def hang_up(self):
        """End the call."""
        self._has_call = False
        if self.online:
            self.online = False
            self._answer("NO CARRIER")

    def _read_commands(self, data):
        if self._echo:
            self._send(data)
        *lines, self._pending = (self._pending + data).split(b"\r")
        for line in lines:
            start = line.upper().find(b"AT")
            if start >= 0:
                command = line[start:].decode(errors="replace").strip()
                self.said.append(command)
                self._execute(command)

    def _answer(self, *texts):
        for text in texts:
            self._send(f"\r\n{text}\r\n".encode())

    def _execute(self, command):
        name, _, value = command.partition("=")
        name = name.upper()
        if name in ("ATE0", "ATE1"):
            self._echo = name == "ATE1"
        elif name == "AT+CPIN?":
            self._answer("+CPIN: " + self._pin_state())
        elif name == "AT+CPIN":
            self._unlock(value)
            return
        elif name == "AT+CGDCONT":
            self._context = value
        elif name == "ATD*99#":
            self._dial()
            return
        elif name in ("ATZ", "ATH"):
            if self._has_call:
                self._has_call = False
                self.on_end()
        elif name != "AT":
            self._answer("ERROR")
            return
        self._answer("OK")

    def _pin_state(self):
        if self._is_unlocked:
            return "READY"
        return "SIM PIN" if self.pin_tries else "SIM PUK"

    def _unlock(self, pin):
        if self._is_unlocked or not self.pin_tries:
            self._answer("+CME ERROR: 3")
        elif pin == self._pin:
            self._is_unlocked = True
            self._answer("OK")
        else:
            self.pin_tries -= 1
            self._answer("+CME ERROR: 16")

    def _dial(self):
        if self._has_call:
            self._answer("ERROR")
            return
        if not self._is_unlocked or self._apn and f'"{self._apn}"' not in (self._context or ""):
            self._answer("NO CARRIER")
            return
        self._answer("CONNECT 150000000")
        self.online = self._has_call = True
