"""The log: every line goes to the console, and the last ones stay in memory for `log.tail`."""

import re
import sys

from firmware import const

_LONGEST_TEXT = const(160)  # characters kept of one entry, because an exception may contain a whole payload
_CONTROLS = const(b"[^ -~\x80-\xff]|\xc2[\x80-\x9f]")  # control characters, as UTF-8: see jsontext.py

# Print an exception with its traceback on the console. CPython has this in another module.
print_traceback = getattr(sys, "print_exception", None) or __import__("traceback").print_exception


def describe(error):
    """Return an exception in one line: its class and its text."""
    return f"{type(error).__name__}: {error}".rstrip(": ")


class Log:
    """The last `size` entries. A repeated entry is counted. If there is no room, the source with the most entries loses
    its oldest one, so that entries caused by strangers replace only each other."""

    def __init__(self, clock, size=50, console=True):
        self._clock = clock
        self._size = size
        self._entries = []  # (seconds, level, source, text, times)
        self.console = console
        self.also = None  # f(line): stores a line of a boot that may fail
        self.listeners = []  # f(entry), called with an entry as `tail` returns it; they must not raise

    def _add(self, level, source, text, error=None):
        if error:
            text = f"{text}: {describe(error)}"
        # A stranger's text must not control a terminal, or look like a separate line.
        text = re.sub(_CONTROLS, b"?", str(text)[:_LONGEST_TEXT].encode()).decode()
        seconds = self._clock.uptime()
        entries = self._entries
        times = 1
        for entry in entries:
            if entry[3] == text and entry[2] == source and entry[1] == level:
                times += entry[4]
                entries.remove(entry)
                break
        else:
            if len(entries) >= self._size:
                sources = [entry[2] for entry in entries]
                entries.pop(sources.index(max(sources, key=sources.count)))
        entries.append((seconds, level, source, text, times))
        mark = "" if level == "info" else level + ": "
        line = f"[{seconds:>6}] {source}: {mark}{text}"
        if self.console:
            print(line)
        if self.also:
            self.also(line)
        for listener in self.listeners:
            listener(self.tail(1)[0])
        if error and self.console:
            print_traceback(error)

    def mark(self, source, text):
        """Note what is started next. Only a boot that may fail stores it."""
        if self.also:
            self.also(f"- {source}: {text}")

    def info(self, source, text):
        """Log something that a reader of the console wants to know."""
        self._add("info", source, text)

    def warning(self, source, text, error=None):
        """Log that something is not as configured, but the firmware continues. For `error` see error()."""
        self._add("warning", source, text, error)

    def error(self, source, text, error=None):
        """Log a failure. With `error`, its traceback goes to the console as well."""
        self._add("error", source, text, error)

    def tail(self, count=20):
        """Return the last `count` entries, oldest first, as dictionaries. A repeated entry has `times`."""
        found = []
        for seconds, level, source, text, times in self._entries[-count:]:
            found.append({"uptime": seconds, "level": level, "source": source, "text": text})
            if times > 1:
                found[-1]["times"] = times
        return found
