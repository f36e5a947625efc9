"""A new image is on trial until its first boot has lasted; which one is in a small file."""

import os

from firmware.config_file import write_whole
from firmware.jsontext import dumps, loads
from firmware.log import describe

FILE = "trial.json"  # {"partition": "ota_1"}
WATCHDOG_S = 60  # an image on trial that hangs is reset, and with that judged


def announce(board, log, partition):
    """What is in `partition` will be on trial."""
    try:
        write_whole(board.path(FILE), dumps({"partition": partition}))
    except OSError as error:
        log.warning("update", f"{FILE}: {describe(error)}")


def begin(board, log):
    """At boot: is the image that runs on trial? If so, the watchdog runs from now on."""
    try:
        with open(board.path(FILE)) as file:
            partition = loads(file.read())["partition"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if partition == board.running_partition():
        board.last_update = "on trial"
        board.start_watchdog(WATCHDOG_S)
        return
    board.last_update = "went back"
    log.warning("update", f"the image in {partition} did not last: back to {board.running_partition()}")
    remove(board)


def end(board, log):
    """This boot has lasted: the image stays."""
    board.last_update = "kept"
    log.info("update", f"the image in {board.running_partition()} stays")
    remove(board)


def remove(board):
    """Nothing is on trial."""
    try:
        os.remove(board.path(FILE))
    except OSError:
        pass
