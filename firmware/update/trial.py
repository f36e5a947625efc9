"""Trials of images and settings. A new image is kept if its boot lasts. Settings that may lock the owner out
are kept if somebody logs in. Otherwise the old ones come back. A small file records what is on trial."""

import os

from firmware.config.file import FILE as SETTINGS_FILE
from firmware.config.file import LAST_GOOD_FILE, keep_good_copy, read_text, usable_text, write_whole
from firmware.jsontext import dumps, loads
from firmware.log import describe

FILE = "trial.json"  # {"partition": "ota_1", "settings": true after a boot has begun with them}
WATCHDOG_S = 60  # if an image on trial hangs, the watchdog resets the board, which ends the trial
LOGIN_S = 600  # time for somebody to log in


def _read(board):
    try:
        with open(board.path(FILE)) as file:
            return dict(loads(file.read()))
    except (OSError, ValueError, TypeError):
        return {}


def _write(board, record):
    if record:
        write_whole(board.path(FILE), dumps(record))
    elif board.has_file(FILE):
        os.remove(board.path(FILE))


def announce(board, what, value):
    """Put the image in a "partition", or "settings", on trial from the next boot on. Raises OSError."""
    record = _read(board)
    record[what] = value
    _write(board, record)


def drop(board, what):
    """End the trial of `what`."""
    record = _read(board)
    record.pop(what, None)
    try:
        _write(board, record)
    except OSError:
        pass


def begin(board, log, safe):
    """Check the trial of settings before a boot reads them. Return a report or None; never raise. In safe mode they are
    not tried, because it does not use them all."""
    record = _read(board)
    if "partition" in record:
        _begin_image(board, log, record["partition"])
    if safe or "settings" not in record:
        return None
    try:
        return _begin_settings(board, record["settings"])
    except Exception as error:
        return f"{FILE}: {describe(error)}"


def _begin_image(board, log, partition):
    """If the running image is on trial, start the watchdog."""
    if partition == board.running_partition():
        board.last_update = "on trial"
        board.start_watchdog(WATCHDOG_S)
        return
    board.last_update = "went back"
    log.warning("update", f"the image in {partition} did not start or last: back to {board.running_partition()}")
    drop(board, "partition")


def _begin_settings(board, have_begun):
    old = usable_text(board.path(LAST_GOOD_FILE))
    if old is None or old == usable_text(board.path(SETTINGS_FILE)):
        if not board.has_file("update/files"):  # with which the new settings may come
            drop(board, "settings")  # there are no earlier settings
        return None
    board.settings_on_trial = True
    if not have_begun:
        announce(board, "settings", True)
        return None
    os.rename(board.path(LAST_GOOD_FILE), board.path(SETTINGS_FILE))  # this needs no space
    board.settings_on_trial = False
    drop(board, "settings")
    return f"{SETTINGS_FILE}: nobody logged in with the new settings; those before are back"


def fail(board):
    """Return True if settings are on trial. The next boot reverts them."""
    return "settings" in _read(board) and not announce(board, "settings", True)


def watch(app):
    """If settings are on trial, restart with the earlier ones, unless somebody logs in."""

    def give_up(_):
        if app.board.settings_on_trial:
            app.restart_later()

    app.pool.CallLater(LOGIN_S, give_up)


def keep_settings(app):
    """Keep the settings, because somebody has logged in."""
    app.board.settings_on_trial = False
    if app.config.source == SETTINGS_FILE:
        keep_good_copy(app.board, app.log, read_text(app.board.path(SETTINGS_FILE)))
        app.log.info("config", "the new settings stay")
    drop(app.board, "settings")


def end(board, log):
    """Keep the image, because this boot counts as good."""
    board.last_update = "kept"
    log.info("update", f"the image in {board.running_partition()} stays")
    drop(board, "partition")
