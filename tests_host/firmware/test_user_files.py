"""Files of the user on the board: services, sensors, main.py. The examples are those of docs/."""

import re
import socket
import subprocess
import urllib.request

import pytest
from free_ports import free_port
from image import PATIENCE_S, ROOT

MPY_CROSS = ROOT / "build" / "mpy-cross" / "mpy-cross"  # the compiler that belongs to this repository's image


def example(name):
    """Return the first Python block of a page of the documentation."""
    return re.search(r"```python\n(.*?)```", (ROOT / "docs" / name).read_text(), re.DOTALL).group(1)


def read_all(port):
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as client:
        return client.makefile("rb").read()


def test_the_example_service_is_short_and_runs(board):
    source = example("services.md")
    assert len([line for line in source.splitlines() if line.strip()]) <= 22
    port = free_port()
    board.configure(device={"name": "greeting-board"})
    board.write("services/greeter.py", source.replace("7000", str(port)).replace("tick_s = 10", "tick_s = 0.05"))
    board.start()
    with board.client() as client:
        assert client.result("greeter.count") == 0
        assert read_all(port) == b"Hello from greeting-board\n"
        assert read_all(port) == b"Hello from greeting-board\n"
        assert client.result("greeter.count") == 2
        board.wait_for("greeter: 2 greeted")
        assert client.result("info")["services"]["greeter"] == "running"


def test_a_file_that_begins_with_a_byte_order_mark_runs(board):
    board.write("services/greeter.py", "\ufeffprint('greeter: loaded')\nclass Service: pass\n")
    board.start()
    board.wait_for("^greeter: loaded$")


@pytest.fixture
def compile_file(board):
    """Returns a function f(name, source), which puts a compiled file onto the board."""
    if not MPY_CROSS.exists():
        pytest.skip("There is no mpy-cross: make unix builds one.")

    def compile_file(name, source):
        board.write(name + ".py", source)
        path = board.folder / name
        subprocess.run([MPY_CROSS, path.with_suffix(".py"), "-o", path.with_suffix(".mpy")], check=True)
        path.with_suffix(".py").unlink()

    return compile_file


@pytest.mark.parametrize("name", ["mine", "time"])  # one of the interpreter's own modules has the second name
def test_a_compiled_service_runs(board, compile_file, name):
    compile_file(f"services/{name}", service())
    board.start()
    with board.client() as client:
        assert client.result("mine.ping") == "mine"
        assert client.result("info")["services"][name] == "running"


def test_of_two_files_with_the_same_name_the_source_is_used(board, compile_file):
    compile_file("services/mine", "print('compiled')\n" + service())
    board.write("services/mine.py", "print('source')\n" + service())
    board.write("services/notes.txt", "no service")
    board.start()
    with board.client() as client:
        assert client.result("mine.ping") == "mine"
    assert board.text.count("source") == 1 and "compiled" not in board.text and "error" not in board.text


@pytest.mark.parametrize("content", [b"M\x01\x00\x1f", b"nonsense", b""])
def test_a_compiled_file_of_another_release_affects_no_other_file(board, content):
    (board.folder / "services").mkdir()
    (board.folder / "services" / "mine.mpy").write_bytes(content)
    board.start()
    board.wait_for("services: error: mine.mpy: ValueError")
    with board.client() as client:
        assert client.result("ping") == "pong"


def test_the_example_sensor_is_short_and_read(board):
    source = example("sensors.md")
    assert len([line for line in source.splitlines() if line.strip()]) <= 10
    board.write("sensors/soil.py", source)
    board.start()
    with board.client() as client:
        assert client.result("sensor.read", name="soil") == {"moisture": 0}
        client.login()
        client.result("gpio.write", pin=26, value=1)
        assert client.result("sensor.read", name="soil") == {"moisture": 1}


SERVICE = """
class Service:
    tick_s = 0.01
    def start(self, app):
        {start}
        self.app = app
        app.methods.add("mine.ping", lambda session: "mine")
    def network_up(self, connection):
        {network_up}
    def tick(self):
        {tick}
    def stop(self):
        print("mine: stopped")
"""


def service(start="pass", network_up="pass", tick="pass"):
    return SERVICE.format(start=start, network_up=network_up, tick=tick)


@pytest.mark.parametrize(
    "source, shown",
    [
        (service(start="1 / 0"), "ZeroDivisionError"),
        (service(network_up="raise OSError(5)"), "OSError"),
        (service(tick="nonsense"), "NameError"),
        ("class Service(", "SyntaxError"),
        ("Other = 1", "defines no class Service"),
        ("class Service:\n    def __init__(self):\n        {}['key']", "KeyError"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_failing_service_affects_no_other(board, source, shown):
    board.write("services/mine.py", source)
    board.write("services/other.py", service().replace("mine.ping", "other.ping"))
    board.start()
    with board.client() as client:
        assert client.result("ping") == "pong"
        assert client.result("other.ping") == "mine"
        board.wait_for(shown)
        assert any(shown in entry["text"] for entry in client.result("log.tail", count=50))
    board.interrupt()
    assert board.wait() == 0


def test_a_service_that_only_ticks(board):
    board.write("services/mine.py", "class Service:\n    tick_s = 0.01\n    def tick(self):\n        print('tick')\n")
    board.start()
    for _ in range(2):
        board.wait_for("^tick$", len(board.output))


def test_after_ten_errors_a_service_gets_no_more_ticks(board):
    board.write("services/mine.py", service(tick="raise ValueError('tock')"))
    board.start()
    board.wait_for("10 ticks in a row failed")
    with board.client() as client:
        assert client.result("info")["services"]["mine"] == "tick: ValueError: tock"


def test_a_file_replaces_a_service_of_the_firmware(board):
    board.write(
        "services/telemetry.py",
        "from firmware.telemetry import Telemetry\n"
        "class Service(Telemetry):\n"
        "    def start(self, app):\n"
        "        super().start(app)\n"
        "        app.methods.add('mine', lambda session: 'replaced')\n",
    )
    board.start()
    with board.client() as client:
        assert client.result("mine") == "replaced"
        assert client.result("telemetry.get")["settings"]["interval_s"] == 0.1


def test_services_are_stopped_at_the_end(board):
    board.write("services/mine.py", service())
    board.start()
    board.port
    board.interrupt()
    assert board.wait() == 0
    assert "mine: stopped" in board.text


@pytest.mark.parametrize("source", ["1 / 0", "class Sensor(", "class Sensor:\n    def read(self):\n        1 / 0"])
def test_a_failing_sensor_affects_no_other(board, source):
    board.write("sensors/bad.py", source)
    board.start()
    board.wait_for("Error")
    with board.client() as client:
        assert client.result("sensor.read", name="system")["memory_total"] > 0


def test_main_py_belongs_to_the_user(board):
    board.write("main.py", "print('my own', __name__)\n")
    board.start()
    assert board.wait() == 0
    assert board.text == "my own __main__\n"


def test_main_py_may_start_the_firmware(board):
    board.write("main.py", "print('before')\nfrom firmware import boot\nboot.run()\n")
    board.start()
    with board.client() as client:
        assert client.result("ping") == "pong"
    assert board.text.startswith("before\n")


@pytest.mark.parametrize("source, shown", [("1 / 0", "ZeroDivisionError"), ("(", "SyntaxError")])
def test_main_py_that_fails_is_reported_and_the_firmware_runs(board, source, shown):
    """If the firmware did not run, a better file could not be sent over the network."""
    board.write("main.py", source)
    board.start()
    with board.client() as client:
        log = client.result("log.tail", count=50)
    assert any(entry["level"] == "error" and f"main.py: {shown}" in entry["text"] for entry in log), log


def test_a_folder_in_the_place_of_main_py_does_not_keep_the_firmware_from_running(board):
    board.write("main.py/x", "")
    board.start()
    with board.client() as client:
        assert client.result("ping") == "pong"


@pytest.mark.parametrize("source", ["import sys; sys.exit(3)", "raise KeyboardInterrupt"])
def test_main_py_may_end_in_the_repl(board, source):
    board.write("main.py", source)
    board.start()
    assert board.wait() == 0 and board.text == ""


def test_the_example_with_settings_reads_them(board):
    source = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "services.md").read_text(), re.DOTALL)[2]
    board.write("services/multiplier.py", source)
    board.write("multiplier.json", '{"factor": 3}')
    board.start()
    with board.client() as client:
        assert client.result("multiplier.of", number=14) == 42


def test_the_example_page_is_ten_lines_and_is_served(board):
    source = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "services.md").read_text(), re.DOTALL)[1]
    assert len([line for line in source.splitlines() if line.strip()]) <= 10
    board.write("services/hottest.py", source)
    board.write("sensors/attic.py", "class Sensor:\n    def read(self):\n        return {'celsius': 87.5}\n")
    board.start()
    with urllib.request.urlopen(f"http://127.0.0.1:{board.http_port}/hottest", timeout=PATIENCE_S) as answer:
        assert answer.read() == b"87.5 degrees\n"
