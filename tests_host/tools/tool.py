"""Runs the tool as a process: with pipes, as a program does, and in a terminal, as a user does."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pyte
from image import PATIENCE_S, ROOT

COMMAND = [sys.executable, str(ROOT / "tools" / "board")]
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def environment(**extra):
    """Return the environment without a token, and without LINES and COLUMNS, which override the terminal's size."""
    kept = {key: value for key, value in os.environ.items() if key not in ("BOARD_TOKEN", "LINES", "COLUMNS")}
    return {**kept, **extra}


def watch_memory(process):
    """Return a function that returns the largest memory in bytes that the process was seen to use."""
    most = [0]

    def watch():
        while process.poll() is None:
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                return
            match = re.search(r"VmHWM:\s+(\d+) kB", status)
            most[0] = int(match.group(1)) * 1024 if match else most[0]
            time.sleep(0.05)

    threading.Thread(target=watch, daemon=True).start()
    return lambda: most[0]


class Tool:
    """A run of the tool with pipes."""

    def __init__(self, *words, stdin="", **variables):
        self._process = subprocess.Popen(
            [*COMMAND, *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(**variables),
            text=True,
        )
        self._stdin = stdin

    def port(self):
        """Return the UDP port as soon as the tool listens there."""
        line = self._process.stderr.readline()
        match = re.search(r"listening on UDP port (\d+)", line)
        assert match, line + self._process.stderr.read()
        return int(match.group(1))

    def line(self):
        """Wait for the next line of the output and return it."""
        return self._process.stdout.readline()

    def watch_memory(self):
        return watch_memory(self._process)

    def interrupt(self):
        self._process.send_signal(signal.SIGINT)

    def wait(self):
        """Wait for the end. Return (exit code, rest of the output, rest of the errors)."""
        output, errors = self._process.communicate(self._stdin, timeout=PATIENCE_S)
        assert "Traceback" not in errors, errors
        return self._process.returncode, output, errors

    def end(self):
        if self._process.poll() is None:
            self._process.kill()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            stream.close()
        self._process.wait()


class Terminal:
    """A run of the tool in a terminal."""

    def __init__(self, *words, home, lines=40, columns=110):
        self._size = columns, lines
        self._fd, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._process = subprocess.Popen(
            [*COMMAND, *map(str, words)],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env=environment(TERM="xterm", HOME=str(home), XDG_STATE_HOME=str(home)),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(inner)
        self._output = ""
        self._read = 0  # the end of the last match in the output

    @property
    def raw(self):
        """Return everything that was sent to the terminal."""
        return self._output

    def watch_memory(self):
        return watch_memory(self._process)

    def type(self, text):
        os.write(self._fd, text.encode())

    def wait_for(self, pattern, patience_s=PATIENCE_S):
        """Wait for `pattern` in the output after the last match, without escape sequences. Return the match."""
        end = time.monotonic() + patience_s
        while True:
            shown = _ESCAPE.sub("", self._output)
            match = re.compile(pattern).search(shown, self._read)
            if match:
                self._read = match.end()
                return match
            left = end - time.monotonic()
            assert left > 0 and self._take(left), f"no {pattern!r} in:\n{shown}"

    def wait_for_screen(self, pattern, patience_s=PATIENCE_S):
        """Wait until `pattern` is in a visible line and the last line is drawn. Return all visible lines."""
        end = time.monotonic() + patience_s
        while True:
            screen = pyte.Screen(*self._size)
            pyte.Stream(screen).feed(self._output)
            if all(any(re.search(part, line) for line in screen.display) for part in (pattern, "Ctrl-C ends")):
                return screen.display
            left = end - time.monotonic()
            assert left > 0 and self._take(left), "\n".join([f"no {pattern!r} in:", *screen.display])

    def _take(self, seconds):
        """Read the data that arrives. Return False at the end."""
        if not select.select([self._fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self._fd, 65536).decode(errors="replace")
        except OSError:  # the terminal is no longer open
            return False
        if "\x1b[6n" in data:  # the tool asks for the cursor's position
            os.write(self._fd, b"\x1b[1;1R")
        self._output += data
        return bool(data)

    def wait(self):
        """Wait for the end. Return (exit code, everything that was shown)."""
        end = time.monotonic() + PATIENCE_S
        while self._take(max(0, end - time.monotonic())):
            assert time.monotonic() < end, f"no end of:\n{self._output}"
        code = self._process.wait(PATIENCE_S)
        shown = _ESCAPE.sub("", self._output)
        assert "Traceback" not in shown, shown
        return code, shown

    def end(self):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._fd)
