"""`shell`: a board's methods at a prompt, with completion, history and the board's own help."""

import json
import os
import sys
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer, Completion
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout

from tools.board.errors import OK, ToolError
from tools.board.params import from_words, split

_LEAVE = ("exit", "quit")
_POLL_MS = 20  # between two looks at the keyboard


def read_help(lines):
    """{method: (parameters, explanation)} of what the board's method `help` says."""
    methods = {}
    for line in lines:
        usage, _, text = line.partition(": ")
        words = usage.replace(" (token)", "").split()
        methods[words[0]] = ([word.rstrip("?") for word in words[1:]], text)
    return methods


class MethodCompleter(Completer):
    """Names of methods, then names of their parameters."""

    def __init__(self, methods):
        self._methods = methods

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
        for name in self._methods.get(method, ((),))[0]:
            if f"{name}=" not in rest and name.startswith(word):
                yield Completion(f"{name}=", -len(word))


def readable(result):
    """A result as a person reads it."""
    if isinstance(result, str):
        return result
    if isinstance(result, list) and all(isinstance(item, str) for item in result):
        return "\n".join(result)
    return json.dumps(result, indent=2, ensure_ascii=False)


def run_line(client, line):
    """Do what one line says; the text to print. Raises ToolError."""
    method, *words = split(line)
    return readable(client.call(method, from_words(words)))


def shell(client):
    """Read lines until the end of the input. Returns the exit code: without a terminal, that of the last error."""
    client.on_notification = lambda method, params: print(f"{method}: {json.dumps(params)}", flush=True)
    methods = read_help(client.call("help"))
    if not sys.stdin.isatty():
        return _run_all(client, sys.stdin)
    completer = MethodCompleter(methods)
    session = PromptSession(completer=completer, complete_while_typing=False, history=_history())
    print(f"{client}: {len(methods)} methods; help lists them, Tab completes, exit leaves")
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
    """What is typed. Notifications are served meanwhile; Ctrl-C drops the line, Ctrl-D ends."""

    def serve(context):
        while not context.input_is_ready():
            client.poll(_POLL_MS)

    while True:
        try:
            yield session.prompt(f"{client.address[0]}> ", inputhook=serve)
        except KeyboardInterrupt:
            continue
        except EOFError:
            return


def _history():
    """In a file, where one can be had."""
    folder = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "xasyncsockets"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "history").touch(mode=0o600)
        return FileHistory(str(folder / "history"))
    except OSError:
        return InMemoryHistory()
