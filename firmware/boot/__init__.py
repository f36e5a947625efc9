"""The boot, from reset to the main loop. It never raises, and it always leaves a way to reach the board.

update      Files that were received over the network are moved into place, all together.
escape      A file `repl`, "boot": {"repl": true} or a held button ends the boot here and leaves the REPL free.
main.py     If the user has a program of this name, it runs instead of the firmware. It may call run() to start the
            firmware. If it fails, the firmware runs.
safe mode   After three boots in a row that did not last, only the network and the control server run.

The steps before and after the loop are in start.py, which is unloaded while the loop runs.
"""

import time

from firmware import REBOOT, borrow
from firmware.board import Board
from firmware.log import print_traceback

USER_MAIN = "main.py"
UPDATED = None  # the result of an update, for the log
ENDED = "ended"  # another outcome: the REPL is free


def run(board=None, clock=None, failure=None):
    """Run the firmware's services until they end. Return REBOOT if the board has to restart. `failure` is the
    exception of the user's program."""
    this = borrow("firmware.boot.start").begin(board or Board(), clock, failure)
    try:
        outcome = borrow("firmware.boot.start").make_app(this).run()
    except BaseException as error:
        return borrow("firmware.boot.start").failed(this, error)
    return borrow("firmware.boot.start").ended(this, outcome)


def is_steady(what):
    """Record that the loop has run for long enough."""
    borrow("firmware.boot.start").is_steady(*what)


def _boot():
    """One start. Returns REBOOT or ENDED."""
    board = Board()
    reason = borrow("firmware.boot.start").reason_for_repl(board)
    if reason:
        print(f"boot: {reason}: the firmware does not start")
        return ENDED
    failure = None
    if board.has_file(USER_MAIN):
        try:
            borrow("firmware.user_files").run_file(board.path(USER_MAIN), "__main__")
            return ENDED
        except Exception as error:
            failure = error  # it may have come over the network; a better one can come the same way
    return run(board, failure=failure)


def main():
    """Boot, and boot again on request. It returns to the REPL, and never raises."""
    try:
        while _boot() == REBOOT:
            _reset()
    except (KeyboardInterrupt, SystemExit):
        pass  # raised in the user's main.py, or while waiting for the reset
    except Exception as error:
        print_traceback(error)


def _reset():
    """Reset the board. On the UNIX board this ends the program, and main()'s loop starts it again."""
    time.sleep(0.5)  # so that the last bytes reach the console and the network
    try:
        Board().reset()
    except SystemExit:
        pass
