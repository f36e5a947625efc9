"""From reset to the main loop. It never raises, and it locks nobody out.

update      files that came over the network are put in place, all of them
escape      a file `repl`, "boot": {"repl": true} or a held button end here: the REPL is free
main.py     the user's own program, where there is one, runs instead of the firmware (and may start it: run())
safe mode   after three boots in a row that did not last: network and control server only, until the next boot
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
BOOTS_BEFORE_SAFE_MODE = 3
_LOADING_THRESHOLD = const(4096)  # bytes
AFTER_WATCHDOG = 10  # times longer until a boot counts as steady

TRIAL_FILE = "trial.json"  # a new image is on trial, or was

ENDED = "ended"  # beside the other outcomes: the REPL is free


class BootRecord:
    """How the last boots went, in a small file: it has to outlast a loss of power."""

    def __init__(self, board, log):
        self._path = board.path(RECORD_FILE)
        self._log = log
        self._unsteady = 0
        self._planned = False
        self._safe_mode_wanted = False
        self.kept = True  # False where the filesystem takes no record: then nothing leads to safe mode
        self._load()

    def _load(self):
        try:
            with open(self._path) as file:
                record = json.load(file)
            self._unsteady = int(record["unsteady"])
            self._planned = bool(record["planned"])
            self._safe_mode_wanted = bool(record["safe"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # none yet, or cut off by a loss of power

    def _save(self, unsteady, planned=False, safe=False):
        if (unsteady, planned, safe) == (self._unsteady, self._planned, self._safe_mode_wanted):
            return  # a write less for the flash
        self._unsteady, self._planned, self._safe_mode_wanted = unsteady, planned, safe
        try:
            with open(self._path, "w") as file:
                json.dump({"unsteady": unsteady, "planned": planned, "safe": safe}, file)
        except OSError as error:
            self.kept = False
            self._log.warning("boot", f"{RECORD_FILE}: {describe(error)}")

    @property
    def was_planned(self):
        """True if the last run ended on purpose."""
        return self._planned

    def begin(self):
        """Count this boot. Returns why it has to be in safe mode, or None."""
        reason = None
        if self._safe_mode_wanted:
            reason = "asked for"
        elif self._unsteady >= BOOTS_BEFORE_SAFE_MODE:
            reason = f"the last {self._unsteady} boots did not last"
        self._save(0 if reason else self._unsteady + 1)
        return reason

    def steady(self):
        """This boot has lasted."""
        self._save(0)

    def end(self, safe=False):
        """This run ends on purpose; with `safe` the next one is in safe mode."""
        self._save(0, planned=True, safe=safe)


def run(board=None, clock=None):
    """Run the firmware's services until they end. Returns REBOOT where the board has to start again."""
    board = board or Board()
    clock = clock or Clock()
    log = Log(clock)
    config = Config(board, log)
    config.load()
    record = BootRecord(board, log)
    after_watchdog = board.watchdog_reset() and not record.was_planned
    safe_reason = record.begin()
    if board.has_file(TRIAL_FILE):
        borrow("firmware.update.trial").begin(board, log)
    try:
        app = _load(board, config, log, clock, safe_reason)
        _watch_over(app, record, AFTER_WATCHDOG if after_watchdog else 1)
        outcome = app.run()
    except KeyboardInterrupt:
        board.stop_watchdog()
        record.end()
        return ENDED
    except SystemExit:
        return REBOOT  # a user's file called sys.exit() or machine.reset()
    except Exception as error:
        log.error("boot", "failed", error)
        # Again, if that leads to safe mode at last. Otherwise it would go on for ever: then rather the REPL.
        if record.kept and not safe_reason:
            return REBOOT
        board.stop_watchdog()
        return ENDED
    record.end(safe=outcome == SAFE_MODE)
    return REBOOT if outcome in (REBOOT, SAFE_MODE) else ENDED


def _load(board, config, log, clock, safe_reason):
    """The app. While its modules are loaded, garbage is collected often: else it cuts a small heap into pieces, and an
    ESP32's heap grows over what the radio needs, which therefore comes first."""
    if hasattr(gc, "threshold"):
        gc.threshold(_LOADING_THRESHOLD)
    if sys.platform == "esp32":
        borrow("firmware.network.radio").switch_on(board, config, log)
    from firmware.app import App

    return App(board, config, log, clock, safe_reason)


def _watch_over(app, record, factor):
    """Tell the record, and start the watchdog, once the loop has turned for long enough.

    Not sooner: a boot that fails must leave time for a person, and for the count that leads to safe mode.
    """
    boot = app.config["boot"]

    def steady(_):
        record.steady()
        app.board.keep_image()
        if app.board.last_update == "on trial":
            borrow("firmware.update.trial").end(app.board, app.log)
        if boot["watchdog_s"] and not app.safe_reason and not app.board.start_watchdog(boot["watchdog_s"]):
            app.log.warning("boot", "this board has no watchdog")

    app.pool.CallLater(boot["steady_s"] * factor, steady)


def _boot():
    """One start. Returns REBOOT or ENDED."""
    board = Board()
    borrow("firmware.staged_files").recover(board.files)
    log = Log(Clock())
    config = Config(board, log)
    log.console = False  # run() loads it again, and says what is wrong with it
    config.load()
    reason = borrow("firmware.escape").reason(board, config)
    if reason:
        print(f"boot: {reason}: no firmware, the REPL is yours")
        return ENDED
    if board.has_file(USER_MAIN):
        borrow("firmware.user_files").run_file(board.path(USER_MAIN), "__main__")
        return ENDED
    return run(board)


def main():
    """Boot, and boot again where that is asked for. Returns to the REPL; never raises."""
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
