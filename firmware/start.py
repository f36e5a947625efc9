"""The first part of a boot: reads what the last boots have left, and chooses the settings."""

import json

from firmware import borrow, const
from firmware.config import Config

_BOOTS_BEFORE_SAFE_MODE = const(3)
_AFTER_WATCHDOG = const(10)  # times as long until a boot counts as good
TRIAL_FILE = "trial.json"  # something new is or was on trial
UPDATE_FILE = "update/files"  # an update of which a file is not in its place


def begin(board, log, record):
    """Count this boot. Returns (its configuration, why it is in safe mode or None, seconds that it has to last, whether
    it counts as a good one then)."""
    record.state = unsteady, planned, _ = _read(record.path)
    after_watchdog = board.watchdog_reset() and not planned
    safe_reason = _safe_reason(board, log, *record.state)
    record.save(0 if safe_reason else unsteady + 1)
    config = _settings(board, log, safe_reason)
    whole = not board.has_file(UPDATE_FILE)
    if not whole:
        borrow("firmware.staged_files").report(board.files, log, safe_reason)
    return config, safe_reason, config["boot"]["steady_s"] * (_AFTER_WATCHDOG if after_watchdog else 1), whole


def _read(path):
    try:
        with open(path) as file:
            record = json.load(file)
        return int(record["unsteady"]), bool(record["planned"]), bool(record["safe"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0, False, False  # there is none yet, or a power failure has cut it off


def _safe_reason(board, log, failed, _planned, wanted):
    if wanted:
        return "asked for"
    if not failed:
        return None
    failed_boots = borrow("firmware.failed_boots")
    if failed < _BOOTS_BEFORE_SAFE_MODE:
        failed_boots.keep(board, log)
        return None
    last = failed_boots.tell(board, log)
    return f"the last {failed} boots did not last" + (f"; what began last: {last}" if last else "")


def _settings(board, log, safe_reason):
    """The configuration. Settings on trial that nobody has confirmed are taken back first."""
    config = Config(board, log)
    config.safe = bool(safe_reason)
    fault = None
    if board.has_file(TRIAL_FILE):
        fault = borrow("firmware.update.trial", "firmware.config_file").begin(board, log)
    config.load()
    if fault:
        config.faults.append(fault)
        log.warning("config", fault)
    return config
