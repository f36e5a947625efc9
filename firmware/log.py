"""The log: the last lines stay in memory for `log.tail`, and every line goes to the console."""

import re
import sys

from firmware import const

_LONGEST_TEXT = const(160)  # characters kept of one entry: an exception may carry a whole payload
_CONTROLS = const(b"[^ -~\x80-\xff]|\xc2[\x80-\x9f]")  # in UTF-8: see jsontext.py

# Prints where an exception was raised, on the console. CPython has it elsewhere.
print_traceback = getattr(sys, "print_exception", None) or __import__("traceback").print_exception


def describe(error):
    """An exception in one line: its class and its text."""
    return f"{type(error).__name__}: {error}".rstrip(": ")


class Log:
    """The last `size` entries. A repeated entry is counted. If there is no room, the source with the most entries loses
    its oldest one, so that entries caused by strangers replace only each other."""

    def __init__(self, clock, size=50, console=True):
        self._clock = clock
        self._size = size
        self._entries = []  # (seconds, level, source, text, times)
        self.console = console
        self.also = None  # f(line): stores the lines of a boot that may fail
        self.listeners = []  # f(entry), with what `tail` tells of it; they must not raise

    def _add(self, level, source, text, error=None):
        if error:
            text = f"{text}: {describe(error)}"
        # A stranger's text must not steer a terminal, or look like a line of its own.
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
        """Note what begins now; only a boot that may fail stores it."""
        if self.also:
            self.also(f"- {source}: {text}")

    def info(self, source, text):
        """Something that a reader of the console wants to know."""
        self._add("info", source, text)

    def warning(self, source, text, error=None):
        """Something is not as configured; the firmware goes on. The traceback of `error` goes to the console."""
        self._add("warning", source, text, error)

    def error(self, source, text, error=None):
        """Something failed. `error` as in a warning."""
        self._add("error", source, text, error)

    def tail(self, count=20):
        """The last `count` entries, oldest first, as dictionaries; `times` if an entry was repeated."""
        found = []
        for seconds, level, source, text, times in self._entries[-count:]:
            found.append({"uptime": seconds, "level": level, "source": source, "text": text})
            if times > 1:
                found[-1]["times"] = times
        return found
