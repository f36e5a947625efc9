"""The steps of a boot before and after the loop, which boot borrows. It records whether boots succeed."""

import gc
import json
import sys

from firmware import REBOOT, SAFE_MODE, boot, borrow, const
from firmware.clock import Clock
from firmware.config import Config
from firmware.log import Log, describe

_RECORD_FILE = const("boots.json")
_BOOTS_BEFORE_SAFE_MODE = const(3)
_AFTER_WATCHDOG = const(10)  # after a reset by the watchdog, a boot has to last this many times as long
_LOADING_THRESHOLD = const(4096)  # bytes
_TRIAL_FILE = const("trial.json")  # exists if an image or settings are or were on trial
_UPDATE_FILE = const("update/files")  # exists if a file of an update is not in its place


class ThisBoot:
    """This boot: board, log, clock, config, safe_reason (None, or the reason for safe mode), steady_s (the time that
    it has to last), lasts (whether it counts as good then), and the record's path, state and kept.

    state   (number of boots in a row that did not last, True after a planned end, True to request safe mode)
    kept    False if the record cannot be written: then failed boots cannot lead to safe mode

    It has no methods, because they would keep this module in memory.
    """


def _collect_after(size):
    """Collect garbage often while modules are loaded. Otherwise it would fragment a small heap, and an ESP32's heap
    would take memory that the radio needs."""
    if hasattr(gc, "threshold"):
        gc.threshold(size)


def _new():
    return ThisBoot()  # made in a function without types, so that mypy allows setting attributes


def reason_for_repl(board):
    """Move the files of an update into place. Return the reason to leave the REPL free, or None."""
    _collect_after(_LOADING_THRESHOLD)
    boot.UPDATED = borrow("firmware.staged_files").recover(board.files) or boot.UPDATED
    log = Log(Clock())
    config = Config(board, log)
    log.console = False  # begin() loads it again, and reports its faults
    config.load()
    reason = escape(board, config)
    _collect_after(-1)
    return reason


def escape(board, config):
    """Return the reason to leave the REPL free, or None."""
    if board.has_file("repl"):
        return "there is a file repl"
    found = _by_settings(board, config)
    if found and board.has_file("trial.json"):
        if borrow("firmware.update.trial", "firmware.config.file", "firmware.jsontext").fail(board):
            return None  # run() restores the old settings
    return found


def _by_settings(board, config):
    if config["boot"]["repl"]:
        return "boot.repl is true"
    button = config["boot"]["button"]
    if button is not None:
        try:
            pin_class = board.machine.Pin
            if not pin_class(button, pin_class.IN, pin_class.PULL_UP).value():
                return f"pin {button} is held low"
        except Exception as error:
            print(f"boot: boot.button: {describe(error)}")
    return None


def begin(board, clock, failure):
    """Count this boot, and choose its settings."""
    _collect_after(_LOADING_THRESHOLD)  # until the app has started
    this = _new()
    this.board = board
    this.clock = clock or Clock()
    log = this.log = Log(this.clock)
    if failure:
        log.error("boot", boot.USER_MAIN, failure)
    if boot.UPDATED:
        log.info("update", boot.UPDATED)
        boot.UPDATED = None
    this.path = board.path(_RECORD_FILE)
    this.kept = True
    this.state = unsteady, planned, _ = _read(this.path)
    after_watchdog = board.watchdog_reset() and not planned
    this.safe_reason = _safe_reason(board, log, *this.state)
    _save(this, 0 if this.safe_reason else unsteady + 1)
    this.config = _settings(board, log, this.safe_reason)
    this.lasts = not board.has_file(_UPDATE_FILE)
    if not this.lasts:
        borrow("firmware.staged_files").report(board.files, log, this.safe_reason)
    this.steady_s = this.config["boot"]["steady_s"] * (_AFTER_WATCHDOG if after_watchdog else 1)
    return this


def _read(path):
    try:
        with open(path) as file:
            record = json.load(file)
        return int(record["unsteady"]), record["planned"], record["safe"]
    except Exception:
        return 0, False, False  # there is no record yet, or it is damaged


def _save(this, unsteady, planned=False, safe=False):
    """Record the state for the next boot in a small file, which survives a power failure."""
    if (unsteady, planned, safe) == this.state:
        return  # spares the flash a write
    this.state = unsteady, planned, safe
    try:
        with open(this.path, "w") as file:
            json.dump({"unsteady": unsteady, "planned": planned, "safe": safe}, file)
    except OSError as error:
        this.kept = False
        this.log.warning("boot", f"{_RECORD_FILE}: {describe(error)}")


def _safe_reason(board, log, failed, _planned, wanted):
    if wanted:
        return "requested"
    if not failed:
        return None
    failed_boots = borrow("firmware.boot.failed_boots")
    if failed < _BOOTS_BEFORE_SAFE_MODE:
        failed_boots.keep(board, log)
        return None
    last = failed_boots.tell(board, log)
    return f"the last {failed} boots did not last" + (f"; last step: {last}" if last else "")


def _settings(board, log, safe_reason):
    """Return the configuration. Unconfirmed settings on trial are reverted first."""
    config = Config(board, log)
    config.safe = bool(safe_reason)
    fault = None
    if board.has_file(_TRIAL_FILE):
        fault = borrow("firmware.update.trial", "firmware.config.file", "firmware.jsontext").begin(
            board, log, safe_reason
        )
    config.load()
    if fault:
        config.faults.append(fault)
        log.warning("config", fault)
    return config


def make_app(this):
    """Make the app, and the timers that supervise this boot. On an ESP32 the radio comes first, so that it gets
    memory."""
    if sys.platform == "esp32":
        borrow("firmware.network.radio").switch_on(this.board, this.config, this.log)
    from firmware.app import App

    app = App(this.board, this.config, this.log, this.clock, this.safe_reason)
    app.pool.CallLater(this.steady_s, boot.is_steady, (app, this))
    if this.board.settings_on_trial:
        borrow("firmware.update.trial", "firmware.config.file", "firmware.jsontext").watch(app)
    return app


def is_steady(app, this):
    """Record the good boot, and start the watchdog. If the watchdog ran earlier, failed boots could not be counted,
    and a person would have no time to act."""
    if this.lasts:
        _save(this, 0)
    app.board.keep_image()
    if app.board.last_update == "on trial":
        borrow("firmware.update.trial", "firmware.config.file", "firmware.jsontext").end(app.board, app.log)
    watchdog_s = app.config["boot"]["watchdog_s"]
    if watchdog_s and not app.safe_reason and not app.board.start_watchdog(watchdog_s):
        app.log.warning("boot", "this board has no watchdog")


def failed(this, error):
    """Return the outcome of a run that raised."""
    _collect_after(-1)
    if isinstance(error, KeyboardInterrupt):
        this.board.stop_watchdog()
        _save(this, 0, planned=True)
        return boot.ENDED
    if isinstance(error, SystemExit):
        return REBOOT  # a user's file called sys.exit() or machine.reset()
    this.log.error("boot", "failed", error)
    # Restart if that finally leads to safe mode. Otherwise the REPL is better than an endless loop.
    if this.kept and not this.safe_reason:
        return REBOOT
    this.board.stop_watchdog()
    return boot.ENDED


def ended(this, outcome):
    """Return the outcome of a run that ended normally."""
    _save(this, 0, planned=True, safe=outcome == SAFE_MODE)
    return REBOOT if outcome in (REBOOT, SAFE_MODE) else boot.ENDED
