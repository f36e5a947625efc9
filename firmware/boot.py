"""From reset to the main loop. It never raises, and it locks nobody out.

update      files that came over the network are put in place, all of them
escape      a file `repl`, "boot": {"repl": true} or a held button end here: the REPL is free
main.py     the user's own program, where there is one, runs instead of the firmware (and may start it: run()), which
            runs where that fails
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
_LOADING_THRESHOLD = const(4096)  # bytes

ENDED = "ended"  # beside the other outcomes: the REPL is free


class BootRecord:
    """How the last boots went, in a small file: it has to outlast a loss of power. What is in it, start.py reads."""

    def __init__(self, board, log):
        self.path = board.path(RECORD_FILE)
        self.state = None  # (how many in a row did not last, the last run ended on purpose, safe mode is asked for)
        self._log = log
        self.kept = True  # False where the filesystem takes no record: then nothing leads to safe mode

    def save(self, unsteady, planned=False, safe=False):
        """What the next boot has to know."""
        if (unsteady, planned, safe) == self.state:
            return  # a write less for the flash
        self.state = unsteady, planned, safe
        try:
            with open(self.path, "w") as file:
                json.dump({"unsteady": unsteady, "planned": planned, "safe": safe}, file)
        except OSError as error:
            self.kept = False
            self._log.warning("boot", f"{RECORD_FILE}: {describe(error)}")


def run(board=None, clock=None, failure=None):
    """Run the firmware's services until they end. Returns REBOOT where the board has to start again. `failure` is what
    the user's program has raised."""
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
        # Again, if that leads to safe mode at last. Otherwise it would go on for ever: then rather the REPL.
        if record.kept and not safe_reason:
            return REBOOT
        board.stop_watchdog()
        return ENDED
    record.save(0, planned=True, safe=outcome == SAFE_MODE)
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


def _watch_over(app, record, steady_s, lasts):
    """Tell the record, and start the watchdog, once the loop has turned for long enough.

    Not sooner: a boot that fails must leave time for a person, and for the count that leads to safe mode.
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
    log.console = False  # run() loads it again, and says what is wrong with it
    config.load()
    reason = borrow("firmware.escape").reason(board, config)
    if reason:
        print(f"boot: {reason}: no firmware, the REPL is yours")
        return ENDED
    failure = None
    if board.has_file(USER_MAIN):
        try:
            borrow("firmware.user_files").run_file(board.path(USER_MAIN), "__main__")
            return ENDED
        except Exception as error:
            failure = error  # it may have come over the network: so may a better one
    return run(board, failure=failure)


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
