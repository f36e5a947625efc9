"""The targets of the fuzzing. Each one takes any bytes, and raises an exception if a promise is broken.

The same functions run in three ways, on CPython and on MicroPython: with inputs that hypothesis makes
(test_targets.py), with those that once found a fault (corpus/), and for any time with those that atheris finds by
coverage (`make fuzz`).
"""
import json
import os
import socket
from binascii import hexlify

from firmware.app import App
from firmware.board import Board
from firmware.clock import Clock
from firmware.config import Config
from firmware.config.defaults import SCHEMA
from firmware.config.file import FILE, LAST_GOOD_FILE
from firmware.jsontext import dumps, loads, sound
from firmware.log import Log
from firmware.telemetry.line_protocol import encode_fields, encode_head
from XAsyncSockets import XAsyncTCPClient

TOKEN = 'the-token-of-the-fuzzed-board'
PASSWORD = 'the-wifi-password'
WRITES = ('gpio.write', 'gpio.mode', 'pwm.set', 'config.set', 'config.save', 'config.reset', 'telemetry.set', 'reboot',
          'safe_mode')
FOLDER = os.getenv('FUZZ_FOLDER') or '/tmp'


class Broken(Exception):
    """A promise is broken."""


def promise(holds, what, *about):
    if not holds:
        raise Broken('%s: %r' % (what, about))


class StillClock(Clock):
    """A clock that advances only on request."""

    def __init__(self):
        self.now = (1 << 30) - 500      # the counter is about to wrap
        super().__init__()

    def ticks(self):
        return self.now % (1 << 30)


class Peer:
    """A client of the control server, with the board's answers."""

    def __init__(self, app, server):
        self.app = app
        self.pool = app.pool
        self.socket = socket.socket()
        self.socket.connect(socket.getaddrinfo('127.0.0.1', server.port)[0][-1])
        for _ in range(1000):
            if server.clients:
                break
            self.app.turn(10)
        self.session = server.sessions[0]
        self.sent = []
        self.got = b''
        self.ended = False
        self.socket.setblocking(False)
        self._client = self.session._client
        self._client.AsyncSendData = self._note

    def _note(self, data, on_sent):
        self.sent.append(bytes(data))
        return XAsyncTCPClient.AsyncSendData(self._client, data, on_sent)

    def send(self, data):
        """Send bytes. The board takes and answers them before any others arrive."""
        self.socket.send(data)
        self.settle()

    def settle(self):
        while self.pool.PollEvents() or self.app.soon or self._take():
            self.app.turn(0)

    def _take(self):
        try:
            got = self.socket.recv(10000)
        except OSError:     # nothing has arrived
            return False
        self.got += got
        return bool(got)

    def close(self):
        self.socket.close()
        self.settle()


def make_app(**settings):
    """Return the firmware with all its methods, a token and a Wi-Fi password, but without a network."""
    clock = StillClock()
    log = Log(clock, console=False)
    board = Board(files=FOLDER)
    config = Config(board, log)
    config.set('control.token', TOKEN)
    config.set('wifi.networks', [{'ssid': 'home', 'password': PASSWORD}])
    for key, value in settings.items():
        config.set('control.' + key, value)
    app = App(board, config, log, clock)
    app.load_services()
    app.services.start()
    return app


_app = None


def control(data):
    """Send any bytes in any pieces from a client that has not logged in. The first byte says how they are split."""
    global _app
    if _app is None:
        _app = make_app(requests_per_s=10000, port=0)
    app = _app
    app.clock.now += 1000       # or the visitor would use up its requests, whose time stands still
    server = app.services.get('control')
    if not server.port:
        server.network_up(None)
    peer = Peer(app, server)
    try:
        _converse(app, peer.session, peer, data)
    finally:
        peer.close()
    promise(server.clients == 0, 'nothing is left of it')
    promise(peer.session._idle not in app.pool._timers, 'nor a timer')


def is_text(data):
    try:
        str(data, 'utf-8')
        return True
    except UnicodeError:
        return False


def _converse(app, session, peer, data):
    before = json.dumps(app.config.given)
    size = data[0] + 1 if data else 1
    for start in range(1, len(data), size):
        peer.send(data[start:start + size])
        if session.closed:
            break
        promise(session._receiving, 'it goes on receiving')
    answers = b''.join(peer.sent)
    promise(session.closed or peer.got == answers, 'all answers come', peer.got, answers)
    promise(not session.closed or not is_text(data[1:]), 'only invalid text ends the connection', data)
    promise(not session.authenticated, 'nobody is logged in')
    promise(TOKEN.encode() not in answers and PASSWORD.encode() not in answers, 'secrets stay secret', answers)
    promise(json.dumps(app.config.given) == before, 'the configuration stays')
    promise(app.outcome is None, 'the loop continues')
    for answer in peer.sent:
        promise(answer.endswith(b'\n'), 'an answer is whole', answer)
        if answer.startswith(b'{'):
            one = json.loads(answer)    # the plain call log.tail gives the log's lines
            promise(one.get('jsonrpc') == '2.0' or 'level' in one, 'an answer is JSON-RPC', answer)
        elif answer.startswith(b'['):
            promise(all(one['jsonrpc'] == '2.0' for one in json.loads(answer)), 'a batch is JSON-RPC', answer)


def config(data):
    """Use any bytes as config.json. The board must boot with a value for each setting, and report the faults."""
    clock = StillClock()
    board = Board(files=FOLDER)
    with open(board.path(FILE), 'wb') as file:
        file.write(data)
    log = Log(clock, console=False)
    loaded = Config(board, log)
    try:
        loaded.load()
        promise(loaded.source in (FILE, 'defaults'), 'a source', loaded.source)
        promise((loaded.source == FILE) == (not loaded.faults), 'it is used, or named', loaded.faults)
        filled = SCHEMA.fill(loaded.given)
        promise(SCHEMA.fill(json.loads(json.dumps(filled))) == filled, 'all values are there and allowed')
        promise('***' not in json.dumps(filled), 'a mask is not a secret')
        loaded.get()
        return loaded.source
    finally:
        for name in (FILE, LAST_GOOD_FILE):
            if board.has_file(name):
                os.remove(board.path(name))


def jsontext(data):
    """Read any bytes as JSON. Return "refused", or the text written again in hexadecimal; it must read the same."""
    try:
        value = loads(str(data, 'utf-8'))
    except ValueError:
        return 'refused'
    text = dumps(value)
    promise(sound(text) == text, 'it is UTF-8', text)
    loads(text)     # the last digit of a number may differ
    return hexlify(text.encode()).decode()


def telemetry(data):
    """Use any text in every place of a measurement. The result must be one line, which reads back correctly."""
    try:
        text = str(data, 'utf-8')
    except UnicodeError:
        return None
    parts = text.split('|')
    name, tag_key, tag, key, value = (parts + [''] * 5)[:5]
    if not name or not tag_key or not key:
        return None
    fields = encode_fields({key: value, 'n': 1} if key != 'n' else {'n': 1})
    line = encode_head(name, {tag_key: tag}) + b' ' + b','.join(fields) + b'\n'
    promise(line.endswith(b'\n') and line.count(b'\n') == 1, 'one line', line)
    measurement, tags, fields = read_line(str(line, 'utf-8')[:-1])
    promise(len(tags) == (1 if tag else 0), 'as many tags', line, tags)
    promise(len(fields) == (2 if key != 'n' else 1), 'as many fields', line, fields)
    promise(fields['n'] == '1', 'a field keeps its value', line)
    promise(measurement == as_written(name) and tags == ({as_written(tag_key): as_written(tag)} if tag else {}),
            'names and tags', line, measurement, tags)
    if key != 'n':
        promise(fields[as_written(key)] == one_line(value), 'the value', line, fields)
    return line


def one_line(text):
    return text.replace('\r', ' ').replace('\n', ' ')


def as_written(text):
    """Return the form of a name: without line ends, and with a slash for a backslash that would escape something."""
    text = one_line(text)
    for special in ',= ':
        text = text.replace('\\' + special, '/' + special)
    return text[:-1] + '/' if text.endswith('\\') else text


def read_line(line):
    """Read a line of the protocol character by character, as InfluxDB does. Return (measurement, tags, fields)."""
    at = 0

    def name(stops):
        nonlocal at
        text = ''
        while at < len(line) and line[at] not in stops:
            if line[at] == '\\' and at + 1 < len(line) and line[at + 1] in ',= ':
                at += 1
            text += line[at]
            at += 1
        return text

    def value():
        nonlocal at
        if line[at] != '"':
            return name(', ')
        text = ''
        at += 1
        while line[at] != '"':
            if line[at] == '\\' and line[at + 1] in '\\"':
                at += 1
            text += line[at]
            at += 1
        at += 1
        return text

    measurement = name(', ')
    tags = {}
    while line[at] == ',':
        at += 1
        key = name('=')
        at += 1
        tags[key] = name(', ')
    promise(line[at] == ' ', 'a space before the fields', line)
    fields = {}
    while at < len(line):
        at += 1
        key = name('=')
        at += 1
        fields[key] = value()
        promise(at == len(line) or line[at] == ',', 'a comma between fields', line, at)
    return measurement, tags, fields


TARGETS = {'control': control, 'config': config, 'jsontext': jsontext, 'telemetry': telemetry}
