"""A board after its start: our image is complete, and its REPL can always be reached."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOFT_RESETS = 10


def source_value(path, name):
    return re.search(rf"^{name} = ['\"](.+)['\"]", (ROOT / path).read_text(), re.MULTILINE).group(1)


@pytest.fixture
def our_image(device):
    """Skips a test of our image. A board with a stock image can run our files, too (make deploy)."""
    if device.value("__import__('XAsyncSockets').__file__").startswith("/"):
        pytest.skip("a stock image, with our files in its filesystem")


def test_the_library_is_frozen_in_its_version(device, our_image):
    output = device.run("import XAsyncSockets; print(XAsyncSockets.__version__, XAsyncSockets.__file__)")
    assert output.split() == [source_value("lib/XAsyncSockets.py", "__version__"), "XAsyncSockets.py"]


def test_the_firmware_is_frozen_in_its_version(device, our_image):
    output = device.run("import firmware; print(firmware.VERSION, firmware.__file__)")
    assert output.split() == [source_value("firmware/__init__.py", "VERSION"), "firmware/__init__.py"]


def test_every_module_of_the_firmware_can_be_imported(device):
    paths = {path.relative_to(ROOT).with_suffix("") for path in (ROOT / "firmware").rglob("*.py")}
    names = {".".join(path.parts) for path in paths if path.name not in ("__init__", "__main__", "main")}
    device.soft_reset()
    device.run("\n".join(f"import {name}" for name in sorted(names)))


def test_the_banner_has_our_version(device, our_image):
    version = source_value("firmware/__init__.py", "VERSION")
    assert f"XAsyncSockets {version}, MicroPython v1." in device.value("__import__('sys').version")


@pytest.mark.parametrize("name", ["asyncio", "select", "socket", "json", "tls", "_onewire", "framebuf"])
def test_micropythons_own_modules_are_there(device, name):
    device.run(f"import {name}")


def test_the_ports_own_module_is_there(device, platform):
    device.run(f"import {platform}")


def test_native_and_viper_code_runs(device):
    if not device.value("__import__('sys').implementation._mpy >> 10"):
        pytest.skip("this image takes bytecode only")
    code = """
        @micropython.viper
        def total(count: int) -> int:
            result = 0
            for number in range(count):
                result += number
            return result

        @micropython.native
        def doubled(number):
            return 2 * number

        print(total(100), doubled(21))
    """
    assert device.run(code).split() == ["4950", "42"]


def test_the_heap_is_what_the_boards_page_promises(device, platform):
    if platform != "rp2":
        pytest.skip(f"no page promises a heap of {platform}")
    device.soft_reset()
    free = int(device.run("import gc; gc.collect(); print(gc.mem_free())"))
    assert free > 180_000


def test_soft_resets_one_after_another(device, device_network):
    """The network is up before each reset, so the reset has to shut it down."""
    for _ in range(SOFT_RESETS):
        assert device.run("import testing_network; print(testing_network.up())", timeout=60).strip() == device_network
        device.soft_reset()


def test_the_repl_is_reached_while_the_firmware_runs(device):
    device.run_firmware()
    assert device.run("print('here')").strip() == "here"
    assert "firmware" in device.run("import sys; print(sys.modules.keys())")


def test_the_repl_is_reached_while_a_program_never_ends(device):
    device.start("while True: pass")
    device.close()
    assert device.run("print('here')").strip() == "here"
