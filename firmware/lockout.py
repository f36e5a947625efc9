"""Settings that come over the network: what would lock the owner out is refused, what might is on trial (trial.py)."""

from firmware import borrow
from firmware.config import ConfigError
from firmware.config_file import FILE, LAST_GOOD_FILE, parsed, read_text
from firmware.log import describe

_MAY_LOCK_OUT = ("boot", "network", "wifi", "ap", "lan", "ppp", "control")


def check(board, given, path=None):
    """True where the settings `given` have to be tried. Raises ConfigError where they are wrong, or cut off for good.
    `path(name)` is where a file of the board will be."""
    values = borrow("firmware.defaults", "firmware.schema").SCHEMA.fill(given)
    before = _in_use(board)
    faults = []
    if values["boot"]["repl"]:
        faults.append("boot.repl: the board would serve no network any more; set it with 'make config'")
    if before.get("control", {}).get("token") and not values["control"]["token"]:
        faults.append("control.token: without it nobody could change anything; remove it with 'make config'")
    try:
        borrow("firmware.control.tls").context(path or board.path, values["control"])
    except Exception as error:
        faults.append(f"control.certificate: {describe(error)}")
    if faults:
        raise ConfigError(*faults)
    return any(given.get(section) != before.get(section) for section in _MAY_LOCK_OUT)


def _in_use(board):
    """What is given in the settings that this boot has taken, or the last that were good."""
    try:
        return parsed(read_text(board.path(LAST_GOOD_FILE)) or "{}")
    except (OSError, ValueError):
        return {}


def check_files(app, staging):
    """The same for the files of an update."""
    control = app.config["control"]
    changed = [name.lstrip("/") for name in staging.names]
    if "/" + FILE in staging.names:
        raise ConfigError(f"{FILE}: the board would have no token any more")
    if FILE in changed:
        return check(app.board, parsed(read_text(staging.path(FILE))), staging.path)
    if control["certificate"] in changed or control["key"] in changed:
        borrow("firmware.control.tls").context(staging.path, control)
    return False
