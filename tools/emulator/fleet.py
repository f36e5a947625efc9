"""`make fleet N=20` and `make emulate BOARD=PICO_W`: emulated Pico Ws in one Wi-Fi network, and a console that
controls the network."""

import argparse
import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

from tools.flash.ports import BoardProblem, Connection
from tools.flash.uf2 import Uf2

from .air import Air
from .board import MPREMOTE, BoardError
from .console import CommandError, Console
from .lan import Lan
from .network import NoRights, Tap
from .passt import Passt, loopback
from .pico_w import KEY, SSID, PicoW

FOLDER = Path("build/emulator/pico-w")
CONTROL_PORT = 8095  # the firmware's default port (docs/configuration.md)
LINK_SEC = 60
CORES = os.cpu_count() or 1
STARTING = CORES + 1  # boards at a time
START_SEC = 15  # after that the next one starts, too
# Node.js uses threads for compiling and collecting garbage. If there are more boards than cores, these take a third
# more processor time and memory.
OF_MANY = ("--single-threaded",)
MOST_BOARDS = 200
CONFIG = "/config.json"
OURS = b"XAsyncSockets"  # our image: it contains the library
# This network has no name server, and a look-up without an answer blocks a board for seconds.
SETTINGS = {**PicoW.settings, "network": {"ntp": ""}}


def connect(lan):
    """Return the best connection that this user may make: (a function that returns a board's address, a text)."""
    try:
        lan.connect(Tap("boards", lan.host_address, str(lan.network.netmask)))
        return lambda board: board.address, f"{lan.network}, this computer is {lan.host_address}"
    except NoRights as error:
        reasons = [str(error)]
    try:
        lan.connect(Passt([CONTROL_PORT]))
        return lambda board: loopback(board.address), f"by passt; for boards this computer is {lan.host_address}"
    except NoRights as error:
        reasons.append(str(error))
    return lambda board: None, "none leads to this computer. " + " ".join(reasons)


def check_image(path):
    if not path.exists():
        raise BoardError(
            f"There is no image {path}. Build it: make firmware BOARD=PICO_W MPY_DIR=/path/to/micropython "
            "(docs/add-a-board.md), or name another image with UF2=/path/to/image.uf2"
        )
    if path.suffix.lower() not in (".uf2", ".bin"):
        raise BoardError(f"{path} is not an image: images of a Pico W end in .uf2 or .bin.")
    if path.suffix.lower() == ".uf2":
        try:
            chip = Uf2(path).chip
        except ValueError as error:
            raise BoardError(str(error)) from error
        if chip != "rp2040":
            raise BoardError(f"{path} is for {chip or 'an unknown chip'}; a Pico W has an RP2040.")


def flash_of(number):
    return FOLDER / str(number) / "flash.bin"


def prepare(make_board, numbers):
    """Give new boards their settings. One gets them over its serial port; the others get a copy of its flash."""
    new = [number for number in numbers if not flash_of(number).exists()]
    if not new:
        return
    for number in new:
        flash_of(number).parent.mkdir(parents=True, exist_ok=True)
    first = make_board(new[0])
    try:
        first.start()
        write_settings(first.port)
    except BaseException:
        first.close()
        flash_of(new[0]).unlink(missing_ok=True)
        raise
    first.close()
    for number in new[1:]:
        shutil.copyfile(flash_of(new[0]), flash_of(number))


def write_settings(port):
    """Write the settings. On a busy computer the board may answer too late; then try once more."""
    for attempts_left in (2, 1, 0):
        connection = Connection(port)
        try:
            with connection:
                connection.replace_file(CONFIG, json.dumps(SETTINGS).encode())
            return
        except BoardProblem:
            if not attempts_left:
                raise


def start_all(boards, have_network):
    """Switch the boards on, a few at a time, so that the first ones work while the others start."""
    started = []
    for board in boards.values():
        if have_network and len(started) >= STARTING:
            started[-STARTING].link.wait_up(START_SEC)
        board.start()
        started.append(board)


def wait_all(boards, since):
    """Print how many boards are in the network, until all are."""
    deadline = time.monotonic() + LINK_SEC
    up = [board for board in boards.values() if board.link.wait_up(max(0, deadline - time.monotonic()))]
    return f"{len(up)} of {len(boards)} in the network after {time.monotonic() - since:.1f} s"


def main():
    parser = argparse.ArgumentParser(prog="make fleet", description=__doc__)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--count", default="1")
    arguments = parser.parse_args()
    if not arguments.count.isdecimal() or not 1 <= int(arguments.count) <= MOST_BOARDS:
        raise BoardError(f"N={arguments.count} boards: use a number from 1 to {MOST_BOARDS}")
    arguments.count = int(arguments.count)
    check_image(arguments.image)
    os.umask(0o077)  # the boards' flash contains settings with secrets
    FOLDER.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    boards = {}
    lan = Lan()
    try:
        run(arguments, lan, boards)
    except KeyboardInterrupt:
        print()
    finally:
        for board in boards.values():
            board.close()
        lan.close()


def run(arguments, lan, boards):
    where, network = connect(lan)
    air = Air(lan)
    air.add(SSID, KEY)
    log = open(FOLDER / "log.txt", "w")
    numbers = range(1, arguments.count + 1)

    def make_board(number):
        drive = FOLDER / str(number) / "RPI-RP2"
        node_options = OF_MANY if arguments.count > CORES else ()
        return PicoW(
            arguments.image, air, number, flash=flash_of(number), drive=drive, log=log, node_options=node_options
        )

    prepare(make_board, numbers)
    for number in numbers:
        boards[number] = make_board(number)
        boards[number].on_death = lambda text: print(text, file=sys.stderr, flush=True)
    plural = f"{arguments.count} emulated Pico Ws" if arguments.count > 1 else "An emulated Pico W"
    print(f"{plural}, {arguments.image}; their data is below {FOLDER}")
    print(f"network    {network}")
    for number, board in boards.items():
        port = board.name_port(FOLDER / str(number) / "port")
        place = where(board)
        control = f"control {place}:{CONTROL_PORT}   " if place else ""
        print(f"board {number:3}  {control}REPL: {MPREMOTE} connect {port}")
    print(f"drives     {FOLDER}/<board>/RPI-RP2, while a board's bootloader runs")
    if where(boards[1]):
        print("readings   build/venv/bin/python tools/board watch")
    started = time.monotonic()
    is_ours = OURS in arguments.image.read_bytes()
    start_all(boards, have_network=is_ours)
    if is_ours:
        ready = wait_all(boards, started)
    else:
        ready = f"this image has none of our code; make deploy PORT={FOLDER}/1/port puts it there"
    print(f"ready      {ready}; help lists commands, Ctrl-C switches everything off", flush=True)
    talk(Console(air, boards, lambda board: where(board) or "no address"))


def talk(console):
    """Execute commands from the terminal until its end. Without a terminal, wait for Ctrl-C."""
    is_terminal = os.isatty(0)
    while True:
        if is_terminal:
            print("air> ", end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            break
        try:
            answer = console.execute(line)
        except CommandError as error:
            answer = str(error)
        if answer is None:
            return
        if answer:
            print(answer, flush=True)
    if not is_terminal:
        threading.Event().wait()


if __name__ == "__main__":
    try:
        main()
    except (BoardError, BoardProblem) as error:
        sys.exit(str(error))
