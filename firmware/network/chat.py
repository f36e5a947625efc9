"""What a modem is told before PPP: configured lines, each once the one before has been answered (ITU-T V.250)."""

_GUARD_MS = 1100  # of silence, before and after "+++": a modem that is still online listens to commands again
_LONGEST = 256  # bytes of an answer that are kept
_GOOD = (b"OK", b"CONNECT")
_BAD = (b"ERROR", b"+CME ERROR", b"+CMS ERROR", b"NO CARRIER", b"NO DIAL", b"NO ANSWER", b"BUSY")
_PIN = "AT+CPIN="


def talk(uart, lines, clock, is_closing):
    """A generator that yields what it waits for, or None. OSError: the modem refused; ValueError: the SIM did.

    The lines are never told: one may hold a PIN. A PIN is given only where the SIM asks for it.
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
    """Three wrong PINs lock a SIM: so none is given twice, and none that is not asked for."""
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
    """The answer. What follows CONNECT is PPP's, which says everything twice."""
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
    return str(data.strip())[2:-1]  # whatever bytes there are
