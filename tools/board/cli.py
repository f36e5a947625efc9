"""The command line."""

import argparse
import os
import sys
from pathlib import Path

from tools.board import listener
from tools.board.answers import as_json, readable
from tools.board.calls import call
from tools.board.client import DEFAULT_PORT, TOKEN_HINT, ControlClient
from tools.board.errors import INTERRUPTED, OK, ToolError, UsageError
from tools.board.names import find
from tools.board.params import from_words
from tools.board.update import update
from tools.board.watch import discover, watch

TOKEN_VARIABLE = "BOARD_TOKEN"
PIN_VARIABLE = "BOARD_PIN"
UDP_PORT_VARIABLE = "BOARD_UDP_PORT"
_DISCOVER_S = 6  # a little more than the firmware's interval

_EPILOG = """exit codes: 0 success; 1 the board refused, or the file is bad; 2 the command is wrong;
3 no board was reached or heard; 130 Ctrl-C"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all other errors of this tool."""

    def error(self, message):
        self.exit(UsageError.exit_code, f"board: {message} ({self.prog} --help shows more)\n")


def _number(kind, low, high, expected):
    """Return a converter for argparse, from text to an int or a float in a range."""

    def convert(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
        return value

    return convert


_seconds = _number(float, 0.001, 1e9, "a number of seconds above 0")
_count = _number(int, 1, 1e9, "a whole number, 1 or more")
_days = _number(int, 1, 36500, "a number of days from 1 to 36500")
_port = _number(int, 0, 65535, "a port from 0 to 65535")


def _udp_port():
    """Return the port at which boards are heard."""
    text = os.environ.get(UDP_PORT_VARIABLE) or str(listener.DEFAULT_PORT)
    try:
        return _port(text)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{UDP_PORT_VARIABLE}: {error}") from None


def _parser():
    parser = _Parser(
        prog="board",
        description="Talk to boards that run the firmware.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_listening(commands)
    _add_calling(commands)
    _add_serial(commands)
    return parser


def _add_listening(commands):
    """Add the commands that listen to broadcasts."""
    finding = commands.add_parser("discover", help="list the boards on this network")
    finding.add_argument(
        "--seconds", type=_seconds, default=_DISCOVER_S, help="listen for this long (default: %(default)s)"
    )
    finding.add_argument("--count", type=_count, help="stop after this many boards")
    finding.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object per board")

    watching = commands.add_parser("watch", help="show the boards' readings live")
    watching.add_argument("--seconds", type=_seconds, help="stop after this long (default: at Ctrl-C)")
    watching.add_argument("--count", type=_count, help="stop after this many datagrams")
    watching.add_argument("--device", help="show only the board of this name")
    form = watching.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_const", const="csv", dest="form", help="print one CSV row per datagram")
    form.add_argument(
        "--json", action="store_const", const="json", dest="form", help="print one JSON object per datagram"
    )
    watching.add_argument("--columns", help="the readings to show, separated by commas")
    for command in (finding, watching):
        help_port = f"the UDP port to listen on (default: ${UDP_PORT_VARIABLE}, or {listener.DEFAULT_PORT})"
        command.add_argument("--port", type=_port, help=help_port)


def _add_calling(commands):
    """Add the commands that talk to a board over the network."""
    host_help = f"the board's address or name; add :port if the port is not {DEFAULT_PORT}"
    calling = commands.add_parser("call", help="call one method of a board and print its result")
    calling.add_argument("host", metavar="HOST", help=host_help)
    calling.add_argument("method", metavar="METHOD", help="a method, for example info; the method help lists all")
    calling.add_argument(
        "params", metavar="key=value", nargs="*", default=[], help="a parameter; its value is JSON or text"
    )
    shelling = commands.add_parser("shell", help="call a board's methods at a prompt")
    shelling.add_argument("host", metavar="HOST", help=host_help)
    updating = commands.add_parser("update", help="send an image or files to a board, and watch it start")
    updating.add_argument("host", metavar="HOST", help=host_help)
    what = "one .bin image, or files (NAME=FILE gives another name on the board), or a folder"
    updating.add_argument("files", metavar="FILE", nargs="*", default=[], help=what)
    updating.add_argument(
        "--delete", metavar="NAME", action="append", default=[], help="delete this file on the board (can be repeated)"
    )
    for command in (calling, shelling, updating):
        token = command.add_mutually_exclusive_group()
        token.add_argument("--token", help=f"the board's control.token (default: ${TOKEN_VARIABLE})")
        token.add_argument("--token-file", metavar="FILE", help="a file that contains the token")
        command.add_argument(
            "--cert",
            "--pin",
            dest="pin",
            metavar="FILE",
            default=os.environ.get(PIN_VARIABLE),
            help=f"the board's certificate: connect by TLS, and only to this board (default: ${PIN_VARIABLE})",
        )
        command.add_argument(
            "--timeout", type=_seconds, default=5, help="wait this many seconds for an answer (default: %(default)s)"
        )


def _add_serial(commands):
    """Add the commands that make files for a board and write them over its serial port."""
    certifying = commands.add_parser("certificate", help="make a certificate and a key for a board's control server")
    certifying.add_argument("name", metavar="NAME", help="the board's name; the files are NAME.crt and NAME.key")
    more = "further names and addresses of the board"
    certifying.add_argument("address", metavar="ADDRESS", nargs="*", default=[], help=more)
    certifying.add_argument(
        "--days", type=_days, default=3650, help="make it valid for this many days (default: %(default)s)"
    )
    certifying.add_argument(
        "--folder", metavar="FOLDER", default=".", help="write the files into this folder (default: the current one)"
    )
    certifying.add_argument("--serial", metavar="PORT", help="also write both files to the board at this serial port")

    provisioning = commands.add_parser(
        "provision", help="check a config.json and write it to a board by its serial port"
    )
    provisioning.add_argument(
        "serial", metavar="PORT", nargs="?", help="the serial port; auto stands for the only connected board"
    )
    provisioning.add_argument(
        "file", metavar="FILE", nargs="?", default="config.json", help="the settings (default: %(default)s)"
    )
    provisioning.add_argument("--check", metavar="FILE", help="only check this file; needs no board")


def _parse(words):
    parser = _parser()
    arguments, rest = parser.parse_known_args(words)
    more = {"call": "params", "update": "files"}.get(arguments.command)
    if rest and more and not any(word.startswith("-") for word in rest):
        setattr(arguments, more, getattr(arguments, more) + rest)  # after an option, where argparse expects none
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return arguments


def _given_token(arguments):
    """Return the token given with the command."""
    if not arguments.token_file:
        return arguments.token
    try:
        return Path(arguments.token_file).read_text(encoding="utf-8-sig").strip()  # some editors write a BOM
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{arguments.token_file}: {getattr(error, 'strerror', None) or error}") from None


def _client(arguments):
    host, is_hearsay = find(arguments.host, _udp_port())
    token, hint = _given_token(arguments), TOKEN_HINT
    if not token and is_hearsay and not arguments.pin:
        way_out = "name its address, or give --token-file or --cert"
        hint = f"{TOKEN_VARIABLE} is not used for a board that was found only by a broadcast: {way_out}"
    elif not token:
        token = os.environ.get(TOKEN_VARIABLE)
    return ControlClient(host, token, arguments.timeout, arguments.pin, hint)


def _discover(arguments):
    port = _udp_port() if arguments.port is None else arguments.port
    discover(port, arguments.seconds, arguments.count, arguments.as_json)


def _watch(arguments):
    columns = arguments.columns.split(",") if arguments.columns else None
    try:
        port = _udp_port() if arguments.port is None else arguments.port
        watch(port, arguments.seconds, arguments.count, arguments.device, arguments.form, columns)
    except KeyboardInterrupt:
        pass  # its normal end


def _call(arguments):
    params = from_words(arguments.params)
    with _client(arguments) as client:
        show = readable if sys.stdout.isatty() else as_json
        print(show(call(client, arguments.method, params)))


def _shell(arguments):
    from tools.board.shell import shell  # importing prompt_toolkit is slow

    with _client(arguments) as client:
        return shell(client)


def _update(arguments):
    with _client(arguments) as client:
        update(client, arguments.files, arguments.delete)


def _provision(arguments):
    from tools.board.provision import check, provision

    if arguments.check:
        check(arguments.check)
        print(f"{arguments.check}: good")
    elif arguments.serial:
        provision(arguments.serial, arguments.file)
    else:
        raise UsageError("provision needs the board's serial port (or auto), or --check FILE")


def _certificate(arguments):
    from tools.board.certificate import certify

    certify(arguments.name, arguments.address, arguments.days, arguments.folder, arguments.serial)


_COMMANDS = {
    "discover": _discover,
    "watch": _watch,
    "call": _call,
    "shell": _shell,
    "certificate": _certificate,
    "update": _update,
    "provision": _provision,
}


def main(words=None):
    """Run one command and return the exit code."""
    arguments = _parse(words)
    try:
        code = _COMMANDS[arguments.command](arguments) or OK
        sys.stdout.flush()
        return code
    except ToolError as error:
        print(f"board: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
