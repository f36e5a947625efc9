"""From reset to the main loop. It never raises, and it always leaves a way in.

update      files that came over the network are put into their places, all together
escape      a file `repl`, "boot": {"repl": true} or a held button ends the boot here: the REPL is free
main.py     the user's own program, if there is one, runs instead of the firmware, which it can start (run()). If it
            fails, the firmware runs
safe mode   after three boots in a row that did not last, only the network and the control server run

The steps before and after the loop are in start.py, which leaves memory while the loop runs.
"""

import time

from firmware import REBOOT, borrow
from firmware.board import Board
from firmware.log import print_traceback

USER_MAIN = "main.py"
UPDATED = None  # what the log should say about an update
ENDED = "ended"  # beside the other outcomes: the REPL is free


def run(board=None, clock=None, failure=None):
    """Run the firmware's services until they end. Returns REBOOT if the board has to start again. `failure` is the
    exception of the user's program."""
    this = borrow("firmware.start").begin(board or Board(), clock, failure)
    try:
        outcome = borrow("firmware.start").make_app(this).run()
    except BaseException as error:
        return borrow("firmware.start").failed(this, error)
    return borrow("firmware.start").ended(this, outcome)


def is_steady(what):
    """The loop has run for long enough."""
    borrow("firmware.start").is_steady(*what)


def _boot():
    """One start. Returns REBOOT or ENDED."""
    board = Board()
    reason = borrow("firmware.start").reason_for_repl(board)
    if reason:
        print(f"boot: {reason}: the firmware does not start")
        return ENDED
    failure = None
    if board.has_file(USER_MAIN):
        try:
            borrow("firmware.user_files").run_file(board.path(USER_MAIN), "__main__")
            return ENDED
        except Exception as error:
            failure = error  # it may have come over the network, and so may a better one
    return run(board, failure=failure)


def main():
    """Boot, and boot again if that is requested. Returns to the REPL; never raises."""
    try:
        while _boot() == REBOOT:
            _reset()
    except (KeyboardInterrupt, SystemExit):
        pass  # in the user's main.py, or while waiting for the reset
    except Exception as error:
        print_traceback(error)


def _reset():
    """Reset the board. The UNIX board's reset ends the program, and main()'s loop starts it again."""
    time.sleep(0.5)  # for the last bytes on the console and on the network
    try:
        Board().reset()
    except SystemExit:
        pass
