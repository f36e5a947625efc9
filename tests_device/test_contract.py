"""The library's contract (tests_host/contract) on the chip's own lwIP. The peers are on this computer."""

import ast
from pathlib import Path

import pytest

from tests_device.device import DeviceError

HERE = Path(__file__).resolve().parent
HOST = HERE.parent / "tests_host"
FOLDERS = (HERE / "on_device", HOST, HOST / "contract")  # the folders of the portable modules
LIMIT_SEC = 120  # an emulator on a busy computer is many times slower than a chip

# The tests that run only on the computer, and the reasons.
OVER_TLS = "its certificates name this computer's loopback; TLS on the chip is in test_tls.py"
LEFT_OUT = {
    "test_esp32": "it is about another chip",
    "test_threads": "the second core cannot use lwIP, and the emulator has one core",
    "test_tls": OVER_TLS,
    "test_timers_while_the_counter_wraps": OVER_TLS,  # it includes the timer of a handshake
}


def collect():
    """Return (module, test) of all portable contract tests."""
    for path in sorted((HOST / "contract").glob("test_*.py")):
        source = path.read_text()
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                reason = left_out(path.stem, node.name, ast.get_source_segment(source, node))
                marks = [pytest.mark.skip(reason=reason)] if reason else []
                yield pytest.param(path, node.name, id=f"{path.stem}::{node.name}", marks=marks)


def left_out(module, name, source):
    """Return the reason why a test does not run on a chip, or None."""
    if "doubles." in source:
        return "the stand-ins of doubles.py are only for a computer"
    if "_context(" in source:
        return OVER_TLS
    return LEFT_OUT.get(module) or LEFT_OUT.get(name)


def needed_modules(path):
    """Return a module and all modules of this project that it imports anywhere."""
    needed, new = set(), {path}
    while new:
        module = new.pop()
        needed.add(module)
        for node in ast.walk(ast.parse(module.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            files = (folder / f"{name}.py" for name in names for folder in FOLDERS)
            new |= {file for file in files if file.exists()} - needed
    return needed


class Chip:
    """
    The board with the harness. Its interpreter is restarted for each module, because earlier ones would fill and
    fragment the heap. It is also restarted after a test that failed.
    """

    def __init__(self, device, agent, provide):
        self.device = device
        self.agent = agent
        self.provide = provide
        self.module = None  # the module that is loaded

    def run(self, path, name):
        self.provide(*sorted(needed_modules(HERE / "on_device" / "testing_contract.py") | needed_modules(path)))
        if self.module != path:
            self.device.soft_reset()
            self.device.run(f"import testing_contract; testing_contract.configure{self.agent}", timeout=LIMIT_SEC)
        self.module = None
        output = self.device.run(f"testing_contract.run({path.stem!r}, {name!r})", timeout=LIMIT_SEC)
        if "\nFAILED" not in output:
            self.module = path
        return output


@pytest.fixture(scope="module")
def chip(device_of_session, agent, on_device):
    return Chip(device_of_session, agent, on_device)


@pytest.mark.parametrize("path, name", collect())
def test_contract(networked, chip, path, name):
    output = chip.run(path, name)
    skipped = f"\nSKIPPED {name}: "
    if skipped in output:
        pytest.skip(output.split(skipped)[1].splitlines()[0])
    if f"\nPASSED {name}" not in output:
        raise DeviceError(output)
