"""The emulated board itself: a program must not notice a difference from a chip."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests_device.device import Device
from tools.emulator.relay import Relay

ROOT = Path(__file__).resolve().parents[1]
EMULATOR = ROOT / "tools" / "emulator"
BUTTON = 14


def test_the_fast_interpreter_does_what_the_packages_own_does(board):
    """After half a million instructions with the same random bits, both have the same memory and registers."""
    from tests_device.conftest import IMAGE

    states = {
        subprocess.run(
            ["node", EMULATOR / "check" / "state.mjs", IMAGE, interpreter, "500000"],
            capture_output=True, text=True, check=True,
        ).stdout
        for interpreter in ("fast", "plain")
    }  # fmt: skip
    assert len(states) == 1, states


def test_its_clock_follows_the_computers():
    subprocess.run(["node", "--test", ROOT / "tests_device" / "time.test.mjs"], check=True, timeout=60)


def test_several_thermometers_on_a_wire():
    subprocess.run(["node", "--test", ROOT / "tests_device" / "one_wire.test.mjs"], check=True, timeout=60)


@pytest.mark.parametrize("expression", [
    "1/3", "2**0.5", "-7.5 // 2", "int(1e9)", "1e38 * 3", "float('nan') == float('nan')", "2147483648 / 3",
    "round(2.5)", "divmod(-7, 3)", "1.5e-3 + 2", "hash(1.0)", "int(-2.9)",
])  # fmt: skip
def test_floating_point_by_the_replaced_boot_rom(board, device, expression):
    ours = device.value(expression)
    expected = eval(expression)
    assert ours == pytest.approx(expected, rel=1e-6, nan_ok=True), (ours, expected)


def test_random_bits_differ_between_boards_and_starts(new_board):
    seen = set()
    for number in (8, 9):
        board = new_board(number, network=False)
        device = Device(board.port)
        seen.add(device.value("__import__('os').urandom(8)"))
        board.reset()
        device.close()
        seen.add(device.value("__import__('os').urandom(8)"))
        device.close()
    assert len(seen) == 4


def test_each_board_has_its_own_number(new_board):
    numbers = set()
    for number in (8, 9):
        device = Device(new_board(number, network=False).port)
        numbers.add(device.value("__import__('machine').unique_id()"))
        device.close()
    assert len(numbers) == 2


def test_a_button_is_seen(board, device):
    device.run(f"import machine; button = machine.Pin({BUTTON}, machine.Pin.IN, machine.Pin.PULL_UP)")
    assert device.value("button.value()") == 1
    board.press_button(BUTTON)
    assert device.value("button.value()") == 0
    board.release_button(BUTTON)
    assert device.value("button.value()") == 1


def test_an_edge_raises_an_interrupt(board, device):
    device.run(f"""
        import machine
        edges = 0
        def on_edge(pin):
            global edges
            edges += 1
        button = machine.Pin({BUTTON}, machine.Pin.IN, machine.Pin.PULL_UP)
        button.irq(on_edge, machine.Pin.IRQ_FALLING)
    """)
    for _ in range(3):
        board.press_button(BUTTON)
        board.release_button(BUTTON)
    assert device.value("edges") == 3
    device.run("button.irq(None)")


def test_voltages_are_measured(board, device):
    for volts in (0.5, 2.5):
        board.set_voltage(0, volts)
        steps = device.value("__import__('machine').ADC(26).read_u16()")
        assert steps * 3.3 / 65535 == pytest.approx(volts, abs=0.01)


def test_instructions_are_counted_exactly(board, device):
    """The same work takes the same number of instructions, except for interrupts."""
    code = "for number in range({}): pass"
    cost = {}
    for loops in (10_000, 20_000, 30_000):
        before = board.instruction_count
        device.run(code.format(loops), timeout=60)
        cost[loops] = board.instruction_count - before
    assert cost[30_000] - cost[20_000] == pytest.approx(cost[20_000] - cost[10_000], rel=0.05)


def test_an_idle_board_uses_little_processor_time(board, device):
    device.soft_reset()
    before = board.stats()
    device.run("import time; time.sleep(2)", timeout=60)
    after = board.stats()
    assert after["emulated_s"] - before["emulated_s"] >= 2
    assert after["instructions"] - before["instructions"] < 5_000_000


def test_it_starts_without_a_network_and_says_why():
    """A user without the required rights gets a clear error and no traceback."""
    code = (
        "from tools.emulator import network\n"
        "network.TUN_DEVICE = '/dev/net/no-such-device'\n"
        "try: network.Tun('x', '10.64.9.1', '10.64.9.2')\n"
        "except network.NoRights as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "There is no /dev/net/no-such-device here" in done.stdout and not done.stderr


def test_a_relay_connects_to_a_boards_port():
    """The relay for a user without the rights for an interface."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(5)
        relay = Relay(server.getsockname()[1])
        relay.start("127.0.0.1")
        assert relay.port != relay.target
        with socket.create_connection(("127.0.0.1", relay.port), 5) as client:
            ours, _ = server.accept()
            with ours:
                client.sendall(b"question")
                client.shutdown(socket.SHUT_WR)
                assert ours.makefile("rb").read() == b"question"
                ours.sendall(b"answer")
            assert client.makefile("rb").read() == b"answer"
