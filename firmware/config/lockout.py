"""Settings from the network. Those that would lock the owner out are refused, and those that might are put on
trial."""

from firmware import boot, borrow
from firmware.config import ConfigError
from firmware.config.file import FILE, LAST_GOOD_FILE, keep_good_copy, parsed, read_text, write_whole
from firmware.jsontext import dumps
from firmware.log import describe
from firmware.update.trial import announce

_STARTER = "main.py"  # starts the firmware on stock MicroPython
_MAY_LOCK_OUT = ("boot", "network", "wifi", "ap", "lan", "ppp", "control")


def check(board, given, path=None):
    """Return True if the settings `given` need a trial. Raises ConfigError if they are wrong, or lock the owner out.
    `path(name)` is the future path of a file on the board."""
    values = borrow("firmware.config.defaults", "firmware.config.schema").fill(given)
    before = _in_use(board)
    faults = []
    if values["boot"]["repl"]:
        faults.append("boot.repl: nothing would answer any more; 'make config' can set it")
    if before.get("control", {}).get("token") and not values["control"]["token"]:
        faults.append("control.token: without it nobody could log in any more; 'make config' can remove it")
    try:
        borrow("firmware.control.tls").context(path or board.path, values["control"])
    except Exception as error:
        faults.append(f"control.certificate: {describe(error)}")
    if faults:
        raise ConfigError(*faults)
    return any(given.get(section) != before.get(section) for section in _MAY_LOCK_OUT)


def _in_use(board):
    """Return the values of the settings that this boot uses, or of the last good ones."""
    try:
        return parsed(read_text(board.path(LAST_GOOD_FILE)) or "{}")
    except (OSError, ValueError):
        return {}


def save(config, given, board, log):
    """Write `given` to the board's filesystem. Return True if they are on trial. Raises OSError or ConfigError."""
    on_trial = check(board, given)
    if on_trial:
        announce(board, "settings", False)
    text = dumps(given)
    write_whole(board.path(FILE), text)
    if not on_trial:
        keep_good_copy(board, log, text)
    config.source = FILE
    return on_trial


def check_files(app, staging):
    """Do the same for the files of an update. Raises ConfigError, ValueError or OSError."""
    control = app.config["control"]
    changed = [name.lstrip("/") for name in staging.names]
    if "/" + FILE in staging.names:
        raise ConfigError(f"{FILE}: the board would have no token any more")
    if boot.USER_MAIN != _STARTER and _STARTER in changed:
        raise ConfigError(f"{_STARTER} starts the firmware on this board; name your own program {boot.USER_MAIN}")
    if FILE in changed:
        if check(app.board, parsed(read_text(staging.path(FILE))), staging.path):
            announce(app.board, "settings", False)
    elif control["certificate"] in changed or control["key"] in changed:
        borrow("firmware.control.tls").context(staging.path, control)
