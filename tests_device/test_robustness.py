"""A board survives resets, power cuts and many connections, and talks to another board."""

import base64
import hashlib
import hmac
import json
import random
import socket
import threading
import time
from pathlib import Path

import pytest

from tests_device.conftest import let_pass
from tests_device.device import Device
from tests_device.test_firmware import ANSWER_SEC, START_SEC, TOKEN, Control, connect, log_in
from tests_device.test_update import OLD, PREPARE, archive, look
from tools.flash.config import config

HERE = Path(__file__).resolve().parent
CONNECTIONS = 1000
ROUNDS = 10  # rounds of connections; the heap is checked after each
AT_A_TIME = 10
CROWD = {"clients": AT_A_TIME + 1, "requests_per_s": 1000}  # all connections come from one address
CUTS = 8
NETWORK_CUTS = 2  # each takes a board of its own
SETTINGS = {"device": {"name": "before"}}
NEW_SETTINGS = {"device": {"name": "after", "tags": ["room=" + "x" * 50] * 4}}

# Runs on the board, and writes a configuration as the firmware does.
SAVE = """
from firmware.board import Board
from firmware.clock import Clock
from firmware.config import Config
from firmware.log import Log
import json
config = Config(Board(), Log(Clock()))
config.load()
for key, value in json.loads({text!r}).items():
    for name, item in value.items():
        config.set(key + "." + name, item)
config.save()
print("saved")
"""


def test_a_reset_by_the_button(networked, board, device):
    device.run_firmware()
    Control(board.address).close()
    before = board.stats()["resets"]
    board.reset()
    assert board.stats()["resets"] == before + 1
    control = Control(board.address)
    assert control.word("ping") == "pong"
    control.close()


def test_a_reset_by_the_watchdog(board, device):
    device.soft_reset()
    before = board.stats()["resets"]
    device.start("import machine; machine.WDT(timeout=1000)\nwhile True: pass")
    device.close()
    deadline = time.monotonic() + START_SEC
    while board.stats()["resets"] == before:
        assert time.monotonic() < deadline, "the watchdog has not reset the board"
        time.sleep(0.1)
    assert device.value("__import__('machine').reset_cause() == __import__('machine').WDT_RESET")


def test_the_watchdog_can_be_stopped(board, device):
    """Its control register shows that it is stopped, and the board is not reset any more."""
    device.soft_reset()
    before = board.stats()["resets"]
    device.run("""
        import machine
        from firmware.board import Board
        board = Board()
        board.start_watchdog(1)
        assert machine.mem32[0x40058000] >> 30 & 1
        board.stop_watchdog()
        assert not machine.mem32[0x40058000] >> 30 & 1
        """)
    let_pass(board, 3)
    assert board.stats()["resets"] == before


def test_the_watchdog_stops_with_the_firmware(networked, board, device, tmp_path):
    settings = {**board.settings, "boot": {"watchdog_s": 2, "steady_s": 1}}
    device.soft_reset()
    device.write_file("/config.json", json.dumps(settings).encode())
    device.run_firmware()
    control = Control(board.address)
    deadline = time.monotonic() + START_SEC
    while control.call("uptime") < 3:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    control.close()
    before = board.stats()["resets"]
    device.run("kept = 1")
    let_pass(board, 4)
    assert device.value("kept") == 1 and board.stats()["resets"] == before
    device.close()
    new = tmp_path / "config.json"
    new.write_text(json.dumps({**settings, "boot": {"steady_s": 60}}))
    for _ in range(4):
        config(new, board.port, say=str)
        connection = Control(board.address)
        assert connection.call("info")["safe_mode"] is None
        connection.close()
    assert board.stats()["resets"] == before
    device.soft_reset()
    device.write_file("/config.json", json.dumps(board.settings).encode())


def test_files_survive_a_power_cut(new_board):
    board = new_board(2, network=False)
    device = Device(board.port)
    device.soft_reset()
    device.write_file("/keep.txt", b"kept" * 100)
    device.close()
    board.power_cut()
    board.start()
    assert device.value("open('/keep.txt').read()") == "kept" * 100
    device.close()


@pytest.mark.parametrize("seed", range(CUTS))
def test_a_power_cut_while_the_configuration_is_written(new_board, seed):
    """The power fails in the middle of any flash operation. Either the old or the new settings are complete then."""
    board = new_board(3, network=False)
    device = Device(board.port)
    device.soft_reset()
    device.run(SAVE.format(text=json.dumps(SETTINGS)), timeout=60)
    operations = board.stats()["flash_operations"]
    device.soft_reset()
    device.run(SAVE.format(text=json.dumps(SETTINGS)), timeout=60)
    per_save = max(1, board.stats()["flash_operations"] - operations)
    board.cut_power_after(random.Random(seed).randrange(per_save))
    device.soft_reset()
    device.start(SAVE.format(text=json.dumps(NEW_SETTINGS)))
    assert board.wait_power_cut(60), "the configuration was written without touching the flash"
    device.close()
    board.start()
    name = device.run(
        "from firmware.board import Board; from firmware.clock import Clock; from firmware.config import Config\n"
        "from firmware.log import Log\n"
        "config = Config(Board(), Log(Clock())); config.load(); print(config['device']['name'])",
        timeout=60,
    ).split()[-1]
    assert name in ("before", "after")
    device.close()


def save_settings(control):
    """Change the settings over the network."""
    control.call("config.set", key="device.tags", value=NEW_SETTINGS["device"]["tags"])
    control.call("config.save")


def send_update(control):
    """Send two files over the network."""
    data = archive()
    sha256 = hashlib.sha256(data).hexdigest()
    asked = f"files {len(data)} {sha256}"
    challenge = control.call("auth.challenge")
    key = hmac.digest(TOKEN.encode(), b"update", "sha256")
    signed = f"{challenge['board']} {challenge['nonce']} {asked}"
    signature = hmac.new(key, signed.encode(), "sha256").hexdigest()
    chunk = control.call("update.begin", kind="files", size=len(data), sha256=sha256, signature=signature)["chunk"]
    for start in range(0, len(data), chunk):
        control.call("update.write", offset=start, data=base64.b64encode(data[start : start + chunk]).decode())
    control.call("update.end")


def until_the_power_fails(change, control):
    try:
        change(control)
    except (OSError, ValueError):
        pass  # the board is off


@pytest.mark.parametrize("change", [save_settings, send_update])
@pytest.mark.parametrize("seed", range(NETWORK_CUTS))
def test_a_power_cut_during_a_change_over_the_network(networked, new_board, change, seed):
    """The firmware itself writes. Whenever the power fails, it starts again, and lets its owner in."""
    board = new_board(5)
    settings = {**board.settings, "control": {"token": TOKEN}}
    device = Device(board.port)
    device.soft_reset()
    device.run(PREPARE.format(old=OLD), timeout=60)
    device.write_file("/config.json", json.dumps(settings).encode())
    device.run_firmware()
    control = Control(board.address)
    log_in(control)
    last = board.stats()["flash_operations"] + (seed * 3 + 1 if change is save_settings else seed * 20 + 3)
    changing = threading.Thread(target=until_the_power_fails, args=(change, control))
    changing.start()
    while changing.is_alive() and board.stats()["flash_operations"] < last:
        time.sleep(0.001)
    board.power_cut()
    changing.join()
    control.close()
    board.start()
    board.connect_network()
    control = Control(board.address)
    log_in(control)
    assert control.call("info")["config"]["faults"] == []
    assert control.call("config.get", key="device.tags") in ([], NEW_SETTINGS["device"]["tags"])
    control.close()
    device.soft_reset()
    assert look(device) in (["True", "False"], ["False", "True"])
    device.close()


def test_the_heap_is_flat_over_many_connections(networked, board, device):
    """Some connections are open at a time, because data before the accept waits for lwIP's 250 ms timer."""
    device.soft_reset()
    device.write_file("/config.json", json.dumps({**board.settings, "control": CROWD}).encode())
    device.run_firmware()
    control = Control(board.address)
    used = []
    for _ in range(ROUNDS):
        for _ in range(CONNECTIONS // ROUNDS // AT_A_TIME):
            ping_over([connect(board.address, ANSWER_SEC) for _ in range(AT_A_TIME)])
        used.append(control.call("gc")["used"])
    control.close()
    assert max(used[ROUNDS // 2 :]) <= 1.01 * max(used[: ROUNDS // 2]), used


def ping_over(connections):
    for connection in connections:
        connection.sendall(b"ping\n")
    for connection in connections:
        assert connection.recv(100).strip() == b"pong"
        connection.shutdown(socket.SHUT_WR)
    for connection in connections:
        assert connection.recv(100) == b"", "the board has not closed its side"
        connection.close()


def test_two_boards_talk_to_each_other(networked, board, device, new_board, on_device):
    """One board serves and the other one connects. This computer forwards their packets."""
    from tools.emulator.network import enable_forwarding

    enable_forwarding()
    other = new_board(4)
    second = Device(other.port)
    on_device(HERE / "on_device" / "testing_network.py")
    network = device.read_file("/testing_network.mpy")
    second.soft_reset()
    second.write_file("/testing_network.mpy", network)
    device.soft_reset()
    device.run("import testing_network; testing_network.up()", timeout=60)
    second.run("import testing_network; testing_network.up()", timeout=60)
    device.start(SERVE_ONE_LINE)
    answer = second.run(ASK_ONE_LINE.format(address=board.address), timeout=60)
    assert answer.split() == ["pong", board.address]
    assert device.finish(60).split() == ["ping", other.address]
    second.close()


SERVE_ONE_LINE = """
from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPServer, XBufferSlots
pool = XAsyncSocketsPool()
def on_line(client, line, arg):
    print(line, client.CliAddr[0])
    client.AsyncSendData(b"pong\\n", lambda client, arg: client.Close())
    client.OnClosed = lambda client, reason: pool.StopWaitEvents()
server = XAsyncTCPServer.Create(pool, ("0.0.0.0", 7000), 4, XBufferSlots(4, 128))
server.OnClientAccepted = lambda server, client: client.AsyncRecvLine(on_line)
pool.AsyncWaitEvents()
"""

ASK_ONE_LINE = """
import time
from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient
pool = XAsyncSocketsPool()
def on_line(client, line, arg):
    print(line, client.SrvAddr[0])
    pool.StopWaitEvents()
def on_connected(client):
    client.AsyncRecvLine(on_line)
    client.AsyncSendData(b"ping\\n")
def dial(client=None):
    # The other board may not listen yet.
    if time.ticks_diff(time.ticks_ms(), start) < 20000:
        time.sleep_ms(100)
        client = XAsyncTCPClient.Create(pool, ("{address}", 7000), 20)
        client.OnConnected = on_connected
        client.OnFailsToConnect = dial
    else:
        pool.StopWaitEvents()
start = time.ticks_ms()
dial()
pool.AsyncWaitEvents()
"""
