"""Ways to keep the firmware from starting, so that the REPL is free."""

from firmware import borrow
from firmware.log import describe

FILE = "repl"


def reason(board, config):
    """Why the REPL has to stay free, or None."""
    if board.has_file(FILE):
        return f"there is a file {FILE}"
    found = _by_settings(board, config)
    if found and board.has_file("trial.json"):
        if borrow("firmware.update.trial", "firmware.config_file", "firmware.jsontext").fail(board):
            return None  # run() restores the old ones
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
