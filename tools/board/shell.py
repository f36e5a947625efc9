"""`shell`: a board's methods at a prompt, with completion, history and the board's own help."""

import json
import os
import sys
import time
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer, Completion
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout

from tools.board.answers import readable
from tools.board.calls import HELP, call, values
from tools.board.errors import OK, ToolError
from tools.board.gate import visible
from tools.board.params import from_words, split

_LEAVE = ("exit", "quit")
_POLL_MS = 20  # time between two checks of the keyboard
_NOTIFICATIONS_PER_S = 20  # notifications that are shown
_LONGEST_NOTIFICATION = 2000  # characters


def read_help(lines):
    """Return {method: (parameters, explanation)} from the board's method `help`."""
    methods = {}
    for line in lines:
        usage, _, text = line.partition(": ")
        words = visible(usage).replace(" (token)", "").split()
        if not words:
            continue
        methods[words[0]] = ([word.rstrip("?") for word in words[1:]], visible(text))
    return methods


class MethodCompleter(Completer):
    """Completes names of methods, then names of their parameters, then possible values."""

    def __init__(self, methods, values=None):
        self._methods = methods
        self._values = values or {}

    def get_completions(self, document, complete_event):
        text = document.text_before_cursor.lstrip()
        method, space, rest = text.partition(" ")
        if not space:
            for name in [*self._methods, *_LEAVE]:
                if name.startswith(method):
                    explanation = self._methods[name][1] if name in self._methods else "leave"
                    yield Completion(name, -len(method), display_meta=explanation)
            return
        word = rest.rpartition(" ")[2]
        name, equals, start = word.partition("=")
        if equals:
            for value in self._values.get((method, name), ()):
                if value.startswith(start):
                    yield Completion(value, -len(start))
            return
        for name in self._methods.get(method, ((),))[0]:
            if f"{name}=" not in rest and name.startswith(word):
                yield Completion(f"{name}=", -len(word))


class Notifications:
    """Shows the board's notifications, but no more than a person can read."""

    def __init__(self):
        self._second = 0
        self._shown = 0
        self._left_out = 0

    def __call__(self, method, params):
        second = int(time.monotonic())
        if second != self._second:
            self.tell_left_out()
            self._second, self._shown = second, 0
        if self._shown < _NOTIFICATIONS_PER_S:
            self._shown += 1
            text = json.dumps(params, ensure_ascii=False)
            print(f"{method}: {visible(text, _LONGEST_NOTIFICATION)}", flush=True)
        else:
            self._left_out += 1

    def tell_left_out(self):
        """Print how many were not shown."""
        if self._left_out:
            print(f"board: {self._left_out} further notifications were not shown", file=sys.stderr, flush=True)
            self._left_out = 0


def run_line(client, line):
    """Execute one line and return the text to print. Raises ToolError."""
    method, *words = split(line)
    return readable(call(client, method, from_words(words)))


def shell(client):
    """Execute lines until the end of the input. Returns the exit code; without a terminal, the last error's."""
    notifications = client.on_notification = Notifications()
    methods = read_help(client.call("help", shape=HELP))
    if not sys.stdin.isatty():
        code = _run_all(client, sys.stdin)
        notifications.tell_left_out()
        return code
    completer = MethodCompleter(methods, values(client, methods))
    session = PromptSession(completer=completer, complete_while_typing=False, history=_history())
    print(f"{client}: {len(methods)} methods; help lists them, Tab completes words, exit ends the shell")
    with patch_stdout():
        _run_all(client, _lines(session, client))
    return OK


def _run_all(client, lines):
    code = OK
    for line in map(str.strip, lines):
        if line in _LEAVE:
            break
        if not line:
            continue
        try:
            print(run_line(client, line), flush=True)
        except ToolError as error:
            print(f"board: {error}", file=sys.stderr, flush=True)
            code = error.exit_code
        except KeyboardInterrupt:
            if not sys.stdin.isatty():
                raise
            print("board: given up", file=sys.stderr, flush=True)
    return code


def _lines(session, client):
    """Yield the lines typed. Notifications arrive meanwhile; Ctrl-C drops the line, Ctrl-D ends."""

    def serve(context):
        while not context.input_is_ready():
            try:
                client.poll(_POLL_MS)
            except ToolError as error:
                print(f"board: {error}", file=sys.stderr, flush=True)

    while True:
        try:
            yield session.prompt(f"{client.address[0]}> ", inputhook=serve)
        except KeyboardInterrupt:
            continue
        except EOFError:
            return


def _history():
    """Return a history in a file, or in memory if the file cannot be written."""
    folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "xasyncsockets"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "history").touch(mode=0o600)
        return FileHistory(str(folder / "history"))
    except OSError:
        return InMemoryHistory()
