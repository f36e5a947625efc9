"""A board under test. Tests control it like a user, over its serial port with mpremote's transport."""

import ast
import os
import textwrap
import time

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from tools.flash import repl

PORT_TIMEOUT_SEC = 5  # the timeout of one read; the transport's own timeouts are longer
BOOT_SEC = 30


class DeviceError(AssertionError):
    """A program on the board raised an exception. The message is the board's output."""


class Device:
    """`port` is the board's serial port. The first command enters the REPL."""

    def __init__(self, port):
        self.port = port
        self._transport = None

    def open(self):
        """Connect, and interrupt the running program. The board may still be starting, so this tries more than once."""
        deadline = time.monotonic() + BOOT_SEC
        while True:
            self._transport = SerialTransport(self.port, timeout=PORT_TIMEOUT_SEC)
            try:
                repl.enter(self._transport, PORT_TIMEOUT_SEC)
                return
            except TransportError:
                self.close()
                if time.monotonic() > deadline:
                    raise

    def close(self):
        """Close the port. The board's program continues."""
        if self._transport:
            self._transport.close()
            self._transport = None

    def soft_reset(self):
        """Start a fresh interpreter, without running the filesystem's `boot.py` and `main.py`."""
        if not self._transport:
            self.open()
        self._transport.enter_raw_repl(soft_reset=True, timeout_overall=BOOT_SEC)

    def run_firmware(self):
        """Make a soft reset, so that the board runs its firmware, and close the port."""
        self.soft_reset()
        self._transport.exit_raw_repl()
        self._transport.serial.write(b"\x04")
        self.close()

    def console(self):
        """Return the board's unread output."""
        fd = os.open(self.port, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            return os.read(fd, 65536).decode(errors="replace")
        except BlockingIOError:
            return ""
        finally:
            os.close(fd)

    def run(self, code, timeout=60):
        """Execute code on the board and return its output; `timeout` seconds may pass without output."""
        self.start(code)
        return self.finish(timeout)

    def start(self, code):
        """Let the board execute code, without waiting for its end; `finish` waits."""
        if not self._transport:
            self.open()
        self._transport.exec_raw_no_follow(textwrap.dedent(code))

    def finish(self, timeout=60):
        try:
            output, error = self._transport.follow(timeout)
        except TransportError as problem:
            self.close()  # its state is unknown; the next command interrupts it
            raise DeviceError(f"The board did not come to an end within {timeout} s: {problem}") from problem
        if error:
            raise DeviceError(f"{output.decode()}\n{error.decode()}")
        return output.decode().replace("\r\n", "\n")

    def value(self, expression):
        """Return the value of an expression on the board."""
        return ast.literal_eval(self.run(f"print(repr({expression}))"))

    def write_file(self, path, content):
        """Copy a file to the board, unless it is already there."""
        if not self._transport:
            self.open()
        if not self._same_file(path, content):
            self._transport.fs_writefile(path, content)

    def read_file(self, path):
        if not self._transport:
            self.open()
        return bytes(self._transport.fs_readfile(path))

    def _same_file(self, path, content):
        try:
            return self._transport.fs_stat(path).st_size == len(content) and self.read_file(path) == content
        except OSError:
            return False
