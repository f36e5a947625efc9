"""The log: the last lines in memory for `log.tail`, every line on the console."""

import sys

LONGEST_TEXT = 160  # characters kept of one entry: an exception may carry a whole payload


def describe(error):
    """An exception in one line: its kind and what it says."""
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class Log:
    """A ring of the last `size` entries."""

    def __init__(self, clock, size=50, console=True):
        self._clock = clock
        self._size = size
        self._entries = []
        self.console = console

    def _add(self, level, source, text):
        text = str(text)[:LONGEST_TEXT]
        seconds = self._clock.uptime()
        if len(self._entries) >= self._size:
            self._entries.pop(0)
        self._entries.append((seconds, level, source, text))
        if self.console:
            mark = "" if level == "info" else level + ": "
            print(f"[{seconds:>6}] {source}: {mark}{text}")

    def info(self, source, text):
        """What a reader of the console wants to know."""
        self._add("info", source, text)

    def warning(self, source, text):
        """Something is not as configured; the firmware goes on."""
        self._add("warning", source, text)

    def error(self, source, text, error=None):
        """Something failed. With `error`, its traceback goes to the console as well."""
        self._add("error", source, f"{text}: {describe(error)}" if error else text)
        if error and self.console:
            print_traceback(error)

    def tail(self, count=20):
        """The last `count` entries, oldest first, as dictionaries."""
        return [
            {"uptime": seconds, "level": level, "source": source, "text": text}
            for seconds, level, source, text in self._entries[-count:]
        ]


def print_traceback(error):
    """Print where `error` was raised, on the console."""
    if hasattr(sys, "print_exception"):
        sys.print_exception(error)
    else:
        import traceback

        traceback.print_exception(error)
