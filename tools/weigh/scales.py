"""Measures the firmware on a board with stock MicroPython, where code is in the heap.

    with Scales() as scales:
        running = scales.running()              the heap when the firmware runs
        scales.serving()                        ... and while it serves clients
        scales.modules(running["modules"])      [Weight]

The board is an emulated one with stock MicroPython (make firmware BOARD=PICO_PPP STOCK=1) and the files that
`make deploy` puts there.
"""

import ast
import json
import re
import socket
import time
from pathlib import Path

from tools.emulator.board import Board
from tools.flash.deploy import deploy
from tools.flash.ports import Connection

from .servers import Servers
from .table import Weight

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "build" / "PICO_PPP-stock"
IMAGE = ROOT / "build" / "PICO_PPP" / "firmware.bin"  # ours
TELEMETRY_PORT = 8094
NOT_IMPORTED = ("firmware.__main__", "firmware.main")
ALL = {  # so that all files are deployed
    "http": {"enabled": True},
    "mqtt": {"broker": "192.0.2.1"},
    "log": {"syslog": "192.0.2.1"},
    "boot": {"unclaim_button": 0},
    "sensors": {"bme280": [{}], "dht22": [{}], "ds18b20": [{}]},
}
CONFIG = {"ppp": {"uart": 0, "tx": 0, "rx": 1}, "control": {"token": "a token for tests"}}

CLIENTS = 4
REQUESTS = 8  # requests from each client
_REFUSED = -32002  # too many requests
PATIENCE_S = 90

# A module's own share of the heap is the growth during its import, without that of the modules that it imports.
IMPORT_EACH = """
import builtins, gc, sys
found = {{}}
nested = [0]
loading = []
load = builtins.__import__
def weighed(name, *more):
    if len(more) == 4 and more[3]:  # "from .name": this function is in no package
        name = loading[-1].rpartition('.')[0] + '.' + name
        more = more[:3] + (0,)
    parent = name.rpartition('.')[0]
    if parent and parent not in sys.modules:
        weighed(parent)
    if name in sys.modules or not name.startswith(('firmware', 'XAsyncSockets')):
        return load(name, *more)
    gc.collect()
    before = gc.mem_alloc()
    nested.append(0)
    loading.append(name)
    module = load(name, *more)
    loading.pop()
    gc.collect()
    total = gc.mem_alloc() - before
    found[name] = total - nested.pop()
    nested[-1] += total
    return module
builtins.__import__ = weighed
for name in {names}:
    try:
        weighed(name)
    except ImportError:
        pass
builtins.__import__ = load
print(found)
"""

# Imports modules like a boot. `peak` is the most memory in use at the end of any import.
RUN = """
import builtins, gc, sys, time
gc.collect()
found = {'empty': gc.mem_alloc(), 'peak': 0}
load = builtins.__import__
def watched(*args):
    module = load(*args)
    found['peak'] = max(found['peak'], gc.mem_alloc())
    if args[0] == 'firmware.app':
        module.App.run = run
    return module
def wait(seconds, is_so):
    end = time.ticks_add(time.ticks_ms(), seconds * 1000)
    while not is_so() and time.ticks_diff(end, time.ticks_ms()) > 0:
        app.turn(200)
def run(self):
    global app
    app = self
    app.log.console = False
    app.start()
    builtins.__import__ = load
    wait(15, lambda: app.services.get('telemetry').seq)
    wait(15, lambda: 'time' in [entry['source'] for entry in app.log.tail()])
    wait(3, lambda: False)
    gc.collect()
    found['used'] = gc.mem_alloc()
    found['free'] = gc.mem_free()
    found['state'] = app.bringup.state
    found['sent'] = app.services.get('telemetry').seq
    found['modules'] = sorted(name for name in sys.modules if name.startswith('firmware'))
    measure()
    return 'ended'
builtins.__import__ = watched
__import__('network').ipconfig(dns='10.64.9.1')  # over PPP nobody tells it
gc.threshold(4096)
from firmware import boot
gc.threshold(-1)
class Session:
    authenticated = False
    def check_access(self, writes):
        pass
def measure():
    from firmware.control import session  # as the first client does it
    for name, params in (('ping', {}), ('info', {}), ('sensor.read', {}), ('net.status', {}), ('help', {})):
        app.methods.call(Session(), name, params)
    gc.collect()
    found['asked'] = gc.mem_alloc()
boot.main()
print(found)
"""

# The same, and then it serves clients until none is left. `serving` is the most memory in use, `floor` the least.
SERVE = RUN.replace(
    "boot.main()",
    """
def measure():
    app.config.set('telemetry.interval_s', 1)
    app.services.get('telemetry').take_settings()
    found['serving'] = found['floor'] = 0
    print('serving')
    begun = False
    end = time.ticks_add(time.ticks_ms(), 120000)
    while time.ticks_diff(end, time.ticks_ms()) > 0:
        app.turn(200)
        clients = app.services.get('control').clients
        gc.collect()
        used = gc.mem_alloc()
        if clients == {clients}:
            begun = True
            found['serving'] = max(found['serving'], used)
            found['floor'] = min(found['floor'] or used, used)
        elif begun and not clients:
            break
boot.main()
""".replace("{clients}", str(CLIENTS)),
)


def _name(source):
    return ".".join(source.relative_to(ROOT).with_suffix("").parts).replace(".__init__", "")


def names():
    """Return the names of all modules of the firmware."""
    found = [_name(path) for path in sorted((ROOT / "firmware").rglob("*.py"))]
    return [name for name in found if name not in NOT_IMPORTED]


def modem_buffer():
    """Return the bytes of the modem's buffer in the heap of the measured board. Boards without PPP do not have it."""
    sources = "".join(path.read_text() for path in (ROOT / "firmware" / "network").glob("*.py"))
    return int(re.search(r"rxbuf=(\d+)", sources)[1])


def _read_answer(file, number):
    while True:
        answer = json.loads(file.readline())
        if answer.get("id") == number:  # otherwise a notification
            return answer


def _ask(address):
    """Let the clients of a control server subscribe and ask, all at the same time."""
    deadline = time.monotonic() + PATIENCE_S
    sockets = [socket.create_connection(address, timeout=PATIENCE_S) for _ in range(CLIENTS)]
    files = [one.makefile("rwb") for one in sockets]
    for number in range(REQUESTS):
        method = ("telemetry.subscribe", "info", "sensor.read")[min(number, 1) + number % 2]
        request = json.dumps({"jsonrpc": "2.0", "id": number, "method": method}).encode() + b"\n"
        asked = files
        while asked:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no answer to request {number} within {PATIENCE_S} s")
            for file in asked:
                file.write(request)
                file.flush()
            asked = [file for file in asked if _read_answer(file, number).get("error", {}).get("code") == _REFUSED]
            time.sleep(1 if asked else 0)  # clients without a login may not keep the board busy
    for file, one in zip(files, sockets):
        file.close()
        one.close()


def first_datagram(board):
    """Return the milliseconds of the board's clock from a reset to the first line of telemetry."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("", TELEMETRY_PORT))
        receiver.settimeout(PATIENCE_S)
        before = board.stats()["emulated_s"]
        board.reset()
        receiver.recv(2000)
        return round(1000 * (board.stats()["emulated_s"] - before))


def image():
    """Return the figures of our own image on the same board: {key of table.HEAP: number}."""
    board = Board(IMAGE, number=9)
    board.start()
    try:
        board.connect_network()
        with Connection(board.port) as connection:
            connection.replace_file("/config.json", json.dumps(CONFIG).encode())
        board.reset()
        with Connection(board.port) as connection:
            found = ast.literal_eval(connection.run(RUN).strip().splitlines()[-1])
        return {"image_used": found["used"], "image_free": found["free"], "image_first": first_datagram(board)}
    finally:
        board.close()


class Scales:
    """An emulated board with stock MicroPython and our files."""

    def __init__(self, interface=None):
        self._interface = interface
        self._board = Board(BUILT / "firmware.bin", number=9)
        self._connection = None

    def __enter__(self):
        self._board.start()
        with Connection(self._board.port) as connection:
            connection.replace_file("/config.json", json.dumps(ALL).encode())
        deploy(self._board.port, mpy_cross=BUILT / "mpy-cross" / "mpy-cross", say=lambda text: None)
        self._board.connect_network(self._interface)
        Servers(self._board.local_address)
        with Connection(self._board.port) as connection:
            connection.replace_file("/config.json", json.dumps(CONFIG).encode())
            connection.run("import os; os.rename('/main.py', '/deployed_main.py')")
        return self

    def __exit__(self, *exception):
        self._board.close()

    def _run(self, code):
        """Return the output of `code` on a board that has just started."""
        self._board.reset()
        with Connection(self._board.port) as connection:
            return ast.literal_eval(connection.run(code).strip().splitlines()[-1])

    def modules(self, by_default):
        """Return a `Weight` for each module. `by_default` are the names of the modules that stay loaded."""
        everything = ["XAsyncSockets", *names()]
        folders = {}  # each in a separate run, because all modules together do not fit
        for name in everything:
            folders.setdefault(name.rpartition(".")[0], []).append(name)
        heap = {}
        for names_of_folder in folders.values():
            heap.update(self._run(IMPORT_EACH.format(names=names_of_folder)))
        cache = next((ROOT / "build" / "deploy").glob("*-armv6m")) / "lib"
        found = []
        for name in everything:
            path = cache / name.replace(".", "/")
            path = path / "__init__.mpy" if path.is_dir() else path.with_suffix(".mpy")
            size = path.stat().st_size  # a module that this board cannot import takes at least this much
            found.append(Weight(name, size, heap.get(name, size), name in by_default))
        return found

    def serving(self):
        """Return the same as `running`, and the heap in use while clients send requests and get every measurement."""
        self._board.reset()
        with Connection(self._board.port) as connection:
            transport = connection._transport
            transport.exec_raw_no_follow(SERVE)
            transport.read_until(1, b"serving", timeout=60)
            _ask((self._board.address, 8095))
            output, error = transport.follow(timeout=60)
            if error:
                raise RuntimeError(error.decode())
            return ast.literal_eval(output.decode().strip().splitlines()[-1])

    def answer(self, method, **params):
        """Return the firmware's answer to one request. The firmware runs as on any board."""
        with Connection(self._board.port) as connection:
            connection.run("import os; os.rename('/deployed_main.py', '/main.py')")
        self._board.reset()
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                client = socket.create_connection((self._board.address, 8095), timeout=PATIENCE_S)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        with client, client.makefile("rwb") as file:
            file.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode() + b"\n")
            file.flush()
            answer = json.loads(file.readline())
        with Connection(self._board.port) as connection:
            connection.run("import os; os.rename('/main.py', '/deployed_main.py')")
        return answer

    def first_datagram(self):
        """Return the milliseconds from a reset to the first line of telemetry, when it runs as on any board."""
        with Connection(self._board.port) as connection:
            connection.run("import os; os.rename('/deployed_main.py', '/main.py')")
        found = first_datagram(self._board)
        with Connection(self._board.port) as connection:
            connection.run("import os; os.rename('/main.py', '/deployed_main.py')")
        return found

    def running(self):
        """Return bytes of the heap: while empty, used and free when the firmware runs, and used after some requests."""
        return self._run(RUN)
