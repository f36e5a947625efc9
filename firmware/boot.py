"""From reset to the main loop. It never raises, and it always leaves a way in.

update      files that came over the network are put into their places, all together
escape      a file `repl`, "boot": {"repl": true} or a held button ends the boot here: the REPL is free
main.py     the user's own program, if there is one, runs instead of the firmware, which it can start (run()). If it
            fails, the firmware runs
safe mode   after three boots in a row that did not last, only the network and the control server run
"""

import gc
import json
import sys
import time

from firmware import REBOOT, SAFE_MODE, borrow, const
from firmware.board import Board
from firmware.clock import Clock
from firmware.config import Config
from firmware.log import Log, describe, print_traceback

USER_MAIN = "main.py"
RECORD_FILE = "boots.json"
_LOADING_THRESHOLD = const(4096)  # bytes

ENDED = "ended"  # beside the other outcomes: the REPL is free


class BootRecord:
    """How the last boots went, in a small file, because it has to survive a power failure. start.py reads it."""

    def __init__(self, board, log):
        self.path = board.path(RECORD_FILE)
        self.state = None  # (how many in a row did not last, the last run ended on purpose, safe mode is asked for)
        self._log = log
        self.kept = True  # False if the record cannot be written: then nothing leads to safe mode

    def save(self, unsteady, planned=False, safe=False):
        """Record what the next boot has to know."""
        if (unsteady, planned, safe) == self.state:
            return  # spares the flash a write
        self.state = unsteady, planned, safe
        try:
            with open(self.path, "w") as file:
                json.dump({"unsteady": unsteady, "planned": planned, "safe": safe}, file)
        except OSError as error:
            self.kept = False
            self._log.warning("boot", f"{RECORD_FILE}: {describe(error)}")


def run(board=None, clock=None, failure=None):
    """Run the firmware's services until they end. Returns REBOOT if the board has to start again. `failure` is the
    exception of the user's program."""
    board = board or Board()
    clock = clock or Clock()
    log = Log(clock)
    if failure:
        log.error("boot", USER_MAIN, failure)
    record = BootRecord(board, log)
    config, safe_reason, steady_s, lasts = borrow("firmware.start").begin(board, log, record)
    try:
        app = _load(board, config, log, clock, safe_reason)
        _watch_over(app, record, steady_s, lasts)
        outcome = app.run()
    except KeyboardInterrupt:
        board.stop_watchdog()
        record.save(0, planned=True)
        return ENDED
    except SystemExit:
        return REBOOT  # a user's file called sys.exit() or machine.reset()
    except Exception as error:
        log.error("boot", "failed", error)
        # Start again if that leads to safe mode in the end. Otherwise the REPL is better than an endless loop.
        if record.kept and not safe_reason:
            return REBOOT
        board.stop_watchdog()
        return ENDED
    record.save(0, planned=True, safe=outcome == SAFE_MODE)
    return REBOOT if outcome in (REBOOT, SAFE_MODE) else ENDED


def _load(board, config, log, clock, safe_reason):
    """The app. While its modules are loaded, garbage is collected often. Otherwise it would fragment a small heap, and
    an ESP32's heap would grow into the memory that the radio needs; so the radio comes first."""
    if hasattr(gc, "threshold"):
        gc.threshold(_LOADING_THRESHOLD)
    if sys.platform == "esp32":
        borrow("firmware.network.radio").switch_on(board, config, log)
    from firmware.app import App

    return App(board, config, log, clock, safe_reason)


def _watch_over(app, record, steady_s, lasts):
    """Record the good boot, and start the watchdog, once the loop has run for long enough.

    An earlier watchdog would leave no time for a person, or for the count of failed boots.
    """

    def steady(_):
        if lasts:
            record.save(0)
        app.board.keep_image()
        if app.board.last_update == "on trial":
            borrow("firmware.update.trial", "firmware.config_file").end(app.board, app.log)
        watchdog_s = app.config["boot"]["watchdog_s"]
        if watchdog_s and not app.safe_reason and not app.board.start_watchdog(watchdog_s):
            app.log.warning("boot", "this board has no watchdog")

    app.pool.CallLater(steady_s, steady)
    if app.board.settings_on_trial:
        borrow("firmware.update.trial", "firmware.config_file").watch(app)


def _boot():
    """One start. Returns REBOOT or ENDED."""
    board = Board()
    borrow("firmware.staged_files").recover(board.files)
    log = Log(Clock())
    config = Config(board, log)
    log.console = False  # run() loads it again, and reports what is wrong with it
    config.load()
    reason = borrow("firmware.escape").reason(board, config)
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
