"""Finds boards by their serial ports and by the bootloader's drive."""

import contextlib
import os
import sys
import time
from pathlib import Path

import serial.tools.list_ports
from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport
from serial import SerialException

from tools.board.gate import LONGEST_MESSAGE, visible

from . import repl

DRIVE_NAMES = ("RPI-RP2", "RP2350")
INFO_FILE = "INFO_UF2.TXT"
READ_SEC = 2  # the timeout of one read from a port
TRY_SEC = 4
ANSWER_SEC = 20
RUN_SEC = 60  # the longest time without output; checksums are slow
TRIAL = "/trial.json"  # a file on the board: the changes that are on trial (firmware/update/trial.py)
MOUNTS = "/proc/mounts"


class BoardProblem(Exception):
    """An error, with its reason as one sentence for the user."""


def find_port(wanted=None):
    """Return the board's port: the requested one, or else the only one."""
    if wanted:
        if not Path(wanted).exists() and "://" not in wanted:
            raise BoardProblem(f"There is no port {wanted}. {_ports_text()}")
        return str(Path(wanted).resolve()) if Path(wanted).is_symlink() else wanted
    ports = serial_ports()
    if len(ports) != 1:
        raise BoardProblem(f"{_ports_text()} PORT names one.")
    return ports[0]


def serial_ports():
    """Return the ports of USB devices."""
    return sorted(port.device for port in serial.tools.list_ports.comports() if port.vid is not None)


def _ports_text():
    ports = serial_ports()
    if ports:
        return f"Boards are at {', '.join(ports)}."
    return "No board is connected by USB; many cables only charge."


def _why_closed(port):
    """Return the reason why an existing port does not open."""
    if "://" in port:
        return "nobody answers there"
    if os.name == "posix" and not Path(port).is_char_device():
        return "it is not a serial port"
    if os.name == "posix" and not os.access(port, os.R_OK | os.W_OK):
        return "this user may not (sudo usermod -aG dialout $USER, then log in again)"
    return "another program uses it"


class Connection:
    """Open a board's REPL and stop its program, which is restarted if an exception ends the block.

    If the board disappears meanwhile, it raises BoardProblem.
    """

    def __init__(self, port):
        self.port = port
        try:
            self._transport = SerialTransport(port, timeout=READ_SEC)
        except TransportError as error:
            raise BoardProblem(f"{port} cannot be opened: {_why_closed(port)}.") from error
        self._interrupt()

    def _interrupt(self):
        """Stop the board's program. A board that is just starting misses this, so it is tried more than once."""
        deadline = time.monotonic() + ANSWER_SEC
        while True:
            try:
                repl.enter(self._transport, TRY_SEC)
                return
            except TransportError as error:
                if time.monotonic() > deadline:
                    self._transport.close()
                    text = f"At {self.port} no MicroPython answers. A reset of the board may help."
                    raise BoardProblem(text) from error
            except SerialException as error:
                self._transport.close()
                raise self._gone() from error

    def __enter__(self):
        return self

    def __exit__(self, _kind, error, _traceback):
        if error:
            with contextlib.suppress(OSError, TransportError):
                self.soft_reset()
        self.close()
        if isinstance(error, (TransportError, SerialException)):
            raise self._gone() from error

    def _gone(self):
        text = f"The board at {self.port} went away or no longer answers: reconnect it and run this again."
        return BoardProblem(text)

    def close(self):
        try:
            self._transport.close()
        except OSError:  # the board is gone
            self._transport.serial.close()

    def run(self, code):
        """Execute code on the board and return its output."""
        output, error = self._transport.exec_raw(code, timeout=RUN_SEC)
        if error:
            last = (error.decode(errors="replace").strip().splitlines() or ["nothing"])[-1]
            raise BoardProblem(f"The board says: {visible(last, LONGEST_MESSAGE)}")
        return output.decode()

    def value(self, expression):
        return self._transport.eval(expression)

    def run_to_the_end(self, code):
        """Execute code that restarts the board."""
        self._transport.exec_raw_no_follow(code)
        time.sleep(0.1)  # time for the last bytes, whose arrival is not confirmed
        self.close()

    def read_file(self, path):
        """Return a file's content, or None."""
        try:
            return bytes(self._transport.fs_readfile(path))
        except SerialException:  # an OSError, too
            raise
        except OSError:
            return None

    def replace_file(self, path, content):
        """Write the file as `path`.new and rename it, so that either the old file or the new one is always complete.

        On littlefs the new file replaces the old one in one step. FAT removes the old one first (extmod/vfs_fat.c). If
        the power fails then, the new file is complete as `path`.new.
        """
        new = path + ".new"
        try:
            self._transport.fs_writefile(new, content)
            self.run(f"import os; os.rename({new!r}, {path!r})")
        except SerialException:
            raise
        except (OSError, BoardProblem) as error:
            self.run(f"import os\ntry: os.remove({new!r})\nexcept OSError: pass")
            reason = getattr(error, "strerror", None) or error
            raise BoardProblem(f"{path} cannot be written to the board: {reason}.") from error

    def update_file(self, path, content):
        """Replace a file and read it back. Return False if it was already the same and nothing was written."""
        if self.read_file(path) == content:
            return False
        self.replace_file(path, content)
        if self.read_file(path) != content:
            raise BoardProblem("The board's files differ from those sent: run this again.")
        return True

    def end_trial(self):
        """Keep the board from taking back settings that were written here: nobody has to log in to confirm them."""
        self.run(f"import os\ntry:\n os.remove({TRIAL!r})\nexcept OSError:\n pass")

    def soft_reset(self):
        """Restart the board's programs, and close the port."""
        self._transport.exit_raw_repl()
        self._transport.serial.write(b"\x04")
        self.close()


def find_drive(wanted=None):
    """Return the bootloader's drive or None: the given folder, or a mounted one with the drive's name."""
    candidates = [Path(wanted)] if wanted else _mounted()
    for folder in candidates:
        if (folder / INFO_FILE).exists():
            return folder
    return None


def _mounted():
    if sys.platform == "darwin":
        return [Path("/Volumes") / name for name in DRIVE_NAMES]
    if os.name == "nt":
        return [Path(f"{letter}:/") for letter in "DEFGHIJKLMNOPQRSTUVWXYZ"]
    mounted = (line.split()[1].replace("\\040", " ") for line in Path(MOUNTS).read_text().splitlines())
    return [Path(folder) for folder in mounted if Path(folder).name in DRIVE_NAMES]


def try_connection(port):
    """Return the connection to a board, or None if it is not there yet."""
    try:
        return Connection(port)
    except BoardProblem:
        return None


def wait_for(what, condition, timeout, advice):
    """Return the first true value of `condition()`. After `timeout` seconds, raise BoardProblem."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise BoardProblem(f"{what} did not come within {timeout} s: {advice}.")
