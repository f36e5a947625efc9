"""Sends the configured lines to a modem before PPP, each after the answer to the previous one (ITU-T V.250)."""

_GUARD_MS = 1100  # silence before and after "+++", which makes a modem that is still online accept commands again
_LONGEST = 256  # bytes of an answer that are kept
_GOOD = (b"OK", b"CONNECT")
_BAD = (b"ERROR", b"+CME ERROR", b"+CMS ERROR", b"NO CARRIER", b"NO DIAL", b"NO ANSWER", b"BUSY")
_PIN = "AT+CPIN="


def talk(uart, lines, clock, is_closing):
    """A generator that yields what it is waiting for, or None. It raises OSError if the modem refuses, ValueError if
    the SIM does.

    No text quotes the lines, because one may contain a PIN. A PIN is sent only if the SIM asks for it.
    """
    while is_closing():
        yield None
    yield from _wait(clock)
    uart.write(b"+++")
    yield from _wait(clock)
    uart.read()
    for index, line in enumerate(lines):
        name = f"line {index + 1} of ppp.chat"
        if line.upper().startswith(_PIN):
            yield from _unlock(uart, line, name)
        else:
            yield from _ask(uart, line, name)


def _wait(clock):
    end = clock.uptime_ms() + _GUARD_MS
    while clock.uptime_ms() < end:
        yield None


def _unlock(uart, line, name):
    """Send the PIN if the SIM asks for it, and only once, because three wrong PINs lock a SIM."""
    answer = yield from _ask(uart, "AT+CPIN?", name)
    if b"READY" in answer:
        return
    if b"SIM PIN" not in answer:
        raise ValueError(f"{name}: the SIM is locked: {_text(answer)}")
    try:
        yield from _ask(uart, line, name)
    except OSError as error:
        raise ValueError(f"{error}: not tried again before the next boot") from None


def _ask(uart, line, name):
    """Send a line, and return the answer. Data after CONNECT belongs to PPP, which repeats what is lost here."""
    uart.write(line.encode() + b"\r")
    answer = b""
    while True:
        answer = (answer + (uart.read() or b""))[-_LONGEST:]
        for text in answer.replace(b"\r", b"\n").split(b"\n")[:-1]:
            if text.startswith(_GOOD):
                return answer
            if text.startswith(_BAD):
                raise OSError(f"{name}: {_text(text)}")
        yield f"no answer to {name}"


def _text(data):
    return str(data.strip())[2:-1]  # works for any bytes
