"""Enters a board's REPL."""

import contextlib
import secrets

from mpremote.transport import TransportError


def enter(transport, timeout):
    """Stop the board's program and get the REPL's prompt. Raises mpremote's TransportError.

    A board that is busy or still starting answers late, and then to every attempt. mpremote would mistake such an
    answer for that to its next command, and could wait for an answer that has already arrived. So the board is asked
    for a new random word, and everything before this word is discarded.
    """
    with contextlib.redirect_stdout(None):  # mpremote prints unexpected output
        transport.enter_raw_repl(soft_reset=False, timeout_overall=timeout)
    word = secrets.token_hex(8).encode()
    transport.serial.write(b"print('" + word + b"')\x04")
    answer = word + b"\r\n\x04\x04"  # the prompt stays for mpremote
    if not transport.read_until(1, answer, timeout_overall=timeout).endswith(answer):
        raise TransportError("the board answers something else")
