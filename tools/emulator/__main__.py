"""`make emulate`: the firmware on an emulated board, its network on this computer, its serial port for mpremote."""

import argparse
import os
import signal
import sys
import threading
import time
from pathlib import Path

from .board import MPREMOTE, Board, BoardError, deaths_raised
from .network import NoRights, enter_private_namespace
from .relay import Relay

FOLDER = Path("build/emulator")
CONTROL_PORT = 8095  # the firmware's default port (docs/configuration.md)
LINK_SEC = 60


def find_network(board):
    """Return the best network that this user may make for the board: (interface or None, a text about it).

    Call this before the board is started, because only a process without threads can enter a namespace.
    """
    try:
        interface = board.make_interface()
        return interface, f"network    {board.address}, from this computer ({board.local_address})"
    except NoRights as error:
        reason = error
    relay = Relay(CONTROL_PORT)
    try:
        enter_private_namespace()
        interface = board.make_interface()
    except NoRights:
        return None, f"network    none. {reason}"
    relay.start(board.address)
    return interface, f"network    TCP only: the control server is at 127.0.0.1:{relay.port}. For UDP, too: {reason}"


def show_console(board):
    """Print the board's output until another program opens its port and reads it instead."""
    fd = os.open(board.port, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        while True:
            time.sleep(0.05)
            try:
                sys.stdout.write(os.read(fd, 4096).decode(errors="replace").replace("\r", ""))
                sys.stdout.flush()
            except BlockingIOError:
                pass
    finally:
        os.close(fd)


def main():
    parser = argparse.ArgumentParser(prog="make emulate", description=__doc__)
    parser.add_argument("--image", required=True)
    parser.add_argument("--console", action="store_true", help="show the board's output")
    arguments = parser.parse_args()
    os.umask(0o077)  # the board's flash contains settings with secrets
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    FOLDER.mkdir(parents=True, exist_ok=True)
    log = open(FOLDER / "log.txt", "w")
    board = Board(arguments.image, flash=FOLDER / "flash.bin", drive=FOLDER / "RPI-RP2", log=log)
    try:
        run(board, arguments)
    except KeyboardInterrupt:
        print()
    finally:
        board.close()


def run(board, arguments):
    """Start the board, print its addresses, and run it until Ctrl-C."""
    started = time.monotonic()
    interface, network = find_network(board)
    board.start()
    if interface:
        board.connect_network(interface)
    print(f"An emulated Raspberry Pi Pico, {arguments.image}; its flash is {board.flash}")
    print(network)
    port = board.name_port(FOLDER / "port")
    print(f"REPL       {MPREMOTE} connect {port}   (Ctrl-C stops the firmware there, Ctrl-D starts it)")
    print(f"drive      {board.drive}; while the bootloader runs, copy a UF2 file there to flash it")
    if board.link and board.link.wait_up(LINK_SEC):
        print(f"ready      after {time.monotonic() - started:.1f} s; Ctrl-C here switches the board off", flush=True)
    elif board.link:
        print(f"ready      no: the network is not up after {LINK_SEC} s; the board's console shows why", flush=True)
    if arguments.console:
        show_console(board)
    threading.Event().wait()


if __name__ == "__main__":
    try:
        with deaths_raised():
            main()
    except BoardError as error:
        sys.exit(str(error))
