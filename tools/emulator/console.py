"""Commands for the air of emulated Pico Ws, as lines of text."""

from .air import AirError

HELP = """\
boards                       who is there, in which network, with which signal
wifi list                    the access points
wifi add NAME [KEY]          one more; of the same name: a second one of that network
wifi off NAME, wifi on NAME  switch it off and on
wifi key NAME KEY            change its key; boards notice when they join again
wifi rssi NAME DBM           how strong it is heard, as -80
wifi deauth                  send all boards away once
loss PERCENT                 of the frames, each way
delay MILLISECONDS           for each frame, each way
dhcp off, dhcp on            whether boards get an address
reset NUMBER                 press a board's reset button
quit                         switch everything off"""


class CommandError(Exception):
    """A command is wrong; the message is one sentence."""


class Console:
    """Executes commands. `boards` are the air's boards. `where` returns a board's address as this computer sees it."""

    def __init__(self, air, boards, where=lambda board: board.address):
        self._air = air
        self._boards = boards
        self._where = where

    def execute(self, line):
        """Return the answer to a command; None for `quit`. Raises CommandError."""
        words = line.split()
        if not words:
            return ""
        if words == ["quit"]:
            return None
        if words == ["help"]:
            return HELP
        for known in (words[:2], words[:1]):
            function = getattr(self, "_do_" + "_".join(known), None)
            if function:
                return self._call(function, words[len(known) :])
        raise CommandError(f"There is no command {line.strip()!r}; help lists them.")

    def _call(self, function, arguments):
        try:
            return function(*arguments) or "done"
        except TypeError:
            raise CommandError("The arguments are wrong; help lists them.") from None
        except (AirError, ValueError) as error:
            raise CommandError(str(error)) from None

    def _do_boards(self):
        boards = self._boards.items()
        return "\n".join(f"{number:3}  {self._where(board):12} {_about(board)}" for number, board in boards)

    def _do_wifi_list(self):
        boards = [board.wifi()["bssid"] for board in self._boards.values()]
        lines = []
        for one in self._air.access_points:
            state = f"{boards.count(one.bssid)} boards" if one.on else "off"
            key = f"key {one.key!r}" if one.key else "no key"
            lines.append(f"{one.ssid:16} {one.security:9} channel {one.channel:2} {one.rssi:4} dBm  {state:10} {key}")
        return "\n".join(lines)

    def _do_wifi_add(self, name, *key):
        self._air.add(name, " ".join(key))

    def _do_wifi_on(self, *name):
        self._change(name, on=True)

    def _do_wifi_off(self, *name):
        self._change(name, on=False)

    def _do_wifi_key(self, name, *key):
        self._change((name,), key=" ".join(key))

    def _do_wifi_rssi(self, name, dbm):
        self._change((name,), rssi=_number(dbm, -100, 0))

    def _do_wifi_deauth(self):
        self._air.deauthenticate()

    def _change(self, name, **changes):
        for access_point in self._air.of(" ".join(name)):
            access_point.change(**changes)

    def _do_loss(self, percent):
        self._air.set_conditions(loss=_number(percent, 0, 100) / 100)

    def _do_delay(self, milliseconds):
        self._air.set_conditions(delay_ms=_number(milliseconds, 0, 10_000))

    def _do_dhcp_on(self):
        self._air.lan.dhcp.answers = True

    def _do_dhcp_off(self):
        self._air.lan.dhcp.answers = False

    def _do_reset(self, number):
        board = self._boards.get(_number(number, 0, 255))
        if not board:
            raise CommandError(f"There is no board {number}; boards lists them.")
        board.reset()


def _number(text, least, most):
    try:
        number = int(text)
    except ValueError:
        number = None
    if number is None or not least <= number <= most:
        raise ValueError(f"{text!r} is not a whole number from {least} to {most}.")
    return number


def _about(board):
    state = board.wifi()
    if state["access_point"]:
        return f"has its own network {state['access_point']['ssid']!r}, {len(state['stations'])} in it"
    return f"in {state['ssid']!r}" if state["ssid"] else "in no network"
