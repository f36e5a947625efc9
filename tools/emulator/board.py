"""An emulated board that is used like a real one: it has a serial port, a network cable, a power switch and a reset
pin.

    with Board("build/PICO_PPP/firmware.bin") as board:
        board.port          # for mpremote or any terminal
        board.address       # once it has a network: board.connect_network()

Everything that can be done to the board from outside is a method. The chip itself runs in a separate process
(main.mjs), which is killed when the power is cut.
"""

import contextlib
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import tty
from pathlib import Path

from .link import PppLink
from .network import Tun

HERE = Path(__file__).resolve().parent
COMMAND_SEC = 10
LAST_OUTPUT = 2000  # characters of its output that are shown if the emulator dies
MPREMOTE = "build/venv/bin/mpremote"  # installed by make


class BoardError(Exception):
    """The board, or a program that it needs, does not work."""


class BoardDied(BoardError):
    """The board's process has ended by itself. Neither the program on the board nor a switch causes this."""


class Board:
    """One board. `number` distinguishes boards: the addresses are 10.64.<number>.1 (ours) and .2 (the board's)."""

    KIND = "PICO_PPP"
    CABLE = "uart0"  # the cable to its network
    settings = {}  # settings that the board needs for its network (docs/configuration.md)
    on_death = None  # f(text), called at once when the board's process has died, in a thread of its own

    def __init__(self, image, flash=None, number=1, drive=None, seed=None, log=None, options=(), node_options=()):
        self.image = Path(image)
        self.number = number
        self.local_address = f"10.64.{number}.1"
        self.address = f"10.64.{number}.2"
        self.link = None
        self._folder = Path(tempfile.mkdtemp(prefix="board-"))
        self.flash = Path(flash or self._folder / "flash.bin")
        self.drive = Path(drive or self._folder / "RPI-RP2")
        self._seed = seed
        self._log = log
        self._options = options
        self._node_options = node_options
        self._process = None
        self._is_switched_off = False
        # The serial port exists before and after the board's process, so a program may keep it open.
        self._console, self._port = pty.openpty()
        tty.setraw(self._port)
        self.port = os.ttyname(self._port)
        self._port_name = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.close()

    # --- power and reset

    def start(self):
        """Switch the power on."""
        if not self.image.exists():
            raise BoardError(f"There is no image {self.image}: make firmware BOARD={self.KIND}")
        self._cable, cable = socket.socketpair()
        control, remote_control = socket.socketpair()
        self._control = Control(control, self._handle_event)
        self._launch(self._console, cable.fileno(), remote_control.fileno())
        cable.close()
        remote_control.close()

    def _handle_event(self, event):
        """Handle an event of the board, in a thread of its own."""

    def _launch(self, console, cable, control):
        node = shutil.which("node")
        if not node or not (HERE / "node_modules" / "rp2040js").exists():
            raise BoardError("The emulator is not installed: make emulator")
        command = [node, *self._node_options, HERE / "main.mjs", "--image", self.image, "--flash", self.flash]
        command += ["--drive", self.drive, "--id", str(self.number), *self._options]
        if self._seed is not None:
            command += ["--seed", str(self._seed)]
        for name, fd in (("console", console), (self.CABLE, cable), ("control", control)):
            command += [f"--{name}", str(fd)]
        self._is_switched_off = False
        with self._output_file.open("a") as own:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._log or own,
                stderr=subprocess.STDOUT,
                pass_fds=(console, cable, control),
            )
        threading.Thread(target=self._watch, args=(self._process,), name="emulator", daemon=True).start()

    @property
    def _output_file(self):
        return Path(self._log.name) if self._log else self._folder / "log.txt"

    def _watch(self, process):
        process.wait()
        text = self._death_of(process)
        if text and self.on_death:
            self.on_death(text)

    def _death_of(self, process):
        """Return how the process died and its last output; None if it runs or the power was switched off."""
        if not process or not process.poll() or self._is_switched_off:
            return None
        output = self._output_file.read_text(errors="replace")[-LAST_OUTPUT:].strip()
        said = f"its last output:\n{output}" if output else "without any output"
        return f"The emulator of board {self.number} has died (exit status {process.returncode}), {said}"

    def check(self):
        """Raise BoardDied if the board's process has died."""
        text = self._death_of(self._process)
        if text:
            raise BoardDied(text)

    def power_cut(self):
        """Switch the power off at once. The flash keeps its content; `start` boots the board again."""
        self._is_switched_off = True
        self._process.kill()
        self._ended()

    def stop(self):
        """Switch the power off between two flash operations."""
        self._is_switched_off = True
        self._process.terminate()
        self._ended()

    def _ended(self):
        self._process.wait(COMMAND_SEC)
        self._process = None
        if self.link:
            self.link.close()
            self.link = None
        self._control.close()
        self._cable.close()

    def name_port(self, path):
        """Give the serial port a name that stays the same, until the board is closed. Returns the name."""
        path = Path(path)
        path.unlink(missing_ok=True)
        path.symlink_to(self.port)
        self._port_name = path
        return path

    def close(self):
        """Discard the board, and its flash if that was temporary."""
        if self.is_running:
            self.power_cut()
        if self._port_name and self._port_name.is_symlink() and os.readlink(self._port_name) == self.port:
            self._port_name.unlink()  # another board may have the name now
        os.close(self._console)
        os.close(self._port)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def is_running(self):
        return self._process is not None

    def reset(self):
        """Press the reset button (the RUN pin)."""
        self._do("reset")

    def cut_power_after(self, flash_operations):
        """Make the power fail in the middle of a later flash operation, counted from now."""
        self._do("cut_power_after", flash_operations=flash_operations)

    def wait_power_cut(self, timeout):
        """Wait for the power cut of `cut_power_after`. Return True if the board is off."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        self.check()
        self._ended()
        return True

    # --- network

    def make_interface(self):
        """Return this end of the board's network, in the computer's or the process's network namespace."""
        return Tun(f"board{self.number}", self.local_address, self.address)

    def connect_network(self, interface=None, modem=None):
        """Plug in the network cable. `modem(send)` makes a modem on it (modem.py)."""
        modem = modem and modem(self._cable.sendall)
        self.link = PppLink(self._cable, interface or self.make_interface(), self.local_address, self.address, modem)

    # --- measuring

    def set_speed(self, speed):
        """Let the board's clock run `speed` times as fast as real time, if the computer is fast enough."""
        self._do("speed", speed=speed)

    def stats(self):
        """Return counters: instructions, emulated_s, busy_s (in real time), resets, flash_operations."""
        return self._do("stats")

    @property
    def instruction_count(self):
        """Return the exact number of instructions that the chip has executed since the power was switched on."""
        return self.stats()["instructions"]

    def start_profile(self):
        """Start to record the program counter about every 500 instructions."""
        self._do("start_profile")

    def stop_profile(self):
        """Return {program counter: instructions executed around it}; their sum is all instructions."""
        return dict(self._do("stop_profile"))

    # --- pins and sensors

    def pin(self, number):
        """Return the level of a pin's wire: 0 or 1."""
        return self._do("pin", pin=number)

    def watch_pin(self, number):
        """Report changes of a pin's level as events: {"event": "pin", "pin": …, "level": …, "time_us": …}."""
        self._do("watch_pin", pin=number)

    def drive_pin(self, number, level):
        """Drive a pin from outside; None stops driving it."""
        self._do("drive_pin", pin=number, level=level)

    def press_button(self, number):
        """Press a button between a pin and ground; it stays pressed until `release_button`."""
        self.drive_pin(number, 0)

    def release_button(self, number):
        self.drive_pin(number, None)

    def set_temperature(self, degrees):
        """Set the chip's own temperature."""
        self._do("temperature", degrees=degrees)

    def set_voltage(self, channel, volts):
        """Set the voltage at an ADC input. Channel 0 is pin 26, and so on."""
        self._do("voltage", channel=channel, volts=volts)

    def attach_sensor(self, kind, name=None, **where):
        """Connect a sensor: "ds18b20" (pin=…), "bme280" (bus=…, address=…)."""
        self._do("attach", sensor=kind, name=name or kind, **where)

    def set_sensor(self, name, **values):
        """Set the values that a sensor measures: temperature, humidity, pressure."""
        self._do("set_sensor", name=name, **values)

    def detach_sensor(self, name):
        self._do("detach", name=name)

    def wait_event(self, timeout, **values):
        """Return the next event with these values that was not returned before; None after `timeout` seconds."""
        event = self._control.wait_event(values, timeout)
        if event is None:
            self.check()
        return event

    def _do(self, command, **values):
        try:
            return self._control.do(command, **values)
        except (BoardError, OSError):
            process = self._process
            if process:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(1)  # its line closes a moment before the process ends
            self.check()
            raise


_raising = threading.Lock()
_deaths = None  # texts for BoardDied, if requested


@contextlib.contextmanager
def deaths_raised():
    """During the block, a board that dies raises BoardDied in the main thread, even while that waits."""
    global _deaths

    def died(text):
        with _raising:
            if _deaths is not None:
                _deaths.append(text)
                signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    def interrupt(number, frame):
        if _deaths:
            raise BoardDied(_deaths.pop())

    signal.signal(signal.SIGUSR1, interrupt)
    Board.on_death = staticmethod(died)
    _deaths = []
    try:
        yield
    finally:
        with _raising:
            _deaths = None


class Control:
    """The line to the emulator: commands and their answers, and events (control.mjs)."""

    def __init__(self, stream, on_event=None):
        self._stream = stream
        self._on_event = on_event
        self._number = 0
        self._changed = threading.Condition()
        self._answers = {}
        self._events = []
        self._is_open = True
        self._thread = threading.Thread(target=self._read, name="board", daemon=True)
        self._thread.start()

    def do(self, command, **values):
        """Send a command and return its result."""
        with self._changed:
            self._number += 1
            number = self._number
            self._stream.sendall(json.dumps({"id": number, "do": command, **values}).encode() + b"\n")
            self._changed.wait_for(lambda: number in self._answers or not self._is_open, COMMAND_SEC)
            answer = self._answers.pop(number, {"error": f"The board did not answer {command!r}."})
        if "error" in answer:
            raise BoardError(answer["error"])
        return answer["result"]

    def wait_event(self, values, timeout):
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for event in self._events:
                    if values.items() <= event.items():
                        self._events.remove(event)
                        return event
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._is_open:
                    return None
                self._changed.wait(remaining)

    def close(self):
        self._stream.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._stream.close()

    def _read(self):
        # If a process dies before it has read a command, the connection is reset.
        with contextlib.suppress(ConnectionError), self._stream.makefile() as lines:
            for line in lines:
                self._take(json.loads(line))
        with self._changed:
            self._is_open = False
            self._changed.notify_all()

    def _take(self, message):
        if self._on_event and "event" in message:
            self._on_event(message)
        with self._changed:
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self._events.append(message)
            self._changed.notify_all()
