"""The firmware's modules: each part that can be switched off has a folder of its own, and there are no circular
imports.
"""

import ast
import subprocess

import pytest
from image import IMAGE, PATIENCE_S, ROOT, image_environment

SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).replace(".__init__", ""): path
    for path in (ROOT / "firmware").rglob("*.py")
}


def imports(name):
    """Return the modules of the firmware that `name` imports anywhere, also inside its functions."""
    found = set()
    for node in ast.walk(ast.parse(SOURCES[name].read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            below = {f"{node.module}.{alias.name}" for alias in node.names} & set(SOURCES)
            found.update(below or {node.module})
    return found & set(SOURCES)


def test_no_imports_go_in_a_circle():
    left = {name: imports(name) for name in SOURCES}
    while left:
        leaves = {name for name, imported in left.items() if not imported & set(left)}
        assert leaves, f"a circular import among {sorted(left)}"
        left = {name: imported for name, imported in left.items() if name not in leaves}


STARTED = """
import sys
from firmware import boot
from firmware.app import App
from firmware.clock import Clock
from firmware.config import Config
from firmware.log import Log
board = boot.Board(files=".")
log = Log(Clock())
log.console = False
config = Config(board, log)
config.set('control.port', 0)  # nobody asks this board anything; it announces that
config.set('http.enabled', False)
{configure}
app = App(board, config, log, Clock(), {safe})
app.start()
for _ in range(20):
    app.turn(50)
{then}
print(" ".join(sorted(name for name in sys.modules if name.startswith("firmware"))))
"""
CALL = """
class Session:
    def check_access(self, writes):
        pass
app.methods.call(Session(), {!r}, {{}})
"""
ALWAYS = set(
    "firmware firmware.app firmware.board firmware.boot firmware.clock firmware.config firmware.control firmware.log "
    "firmware.network firmware.network.announce firmware.network.bringup firmware.network firmware.sensors "
    "firmware.services".split()
)


@pytest.mark.parametrize(
    "configure, safe, then, more",
    [
        ("", None, "", "telemetry telemetry.line_protocol network.watch"),
        ("config.set('telemetry.enabled', False)", None, "", "network.watch"),
        ("config.set('network.probe_s', 0)", None, "", "telemetry telemetry.line_protocol"),
        (
            "config.set('telemetry.enabled', False)\nconfig.set('http', {'port': 0})",
            None,
            "",
            "network.watch web web.request",
        ),
        ("config.set('http', {'port': 0})", "'requested'", "", "web web.request"),
        (
            "config.set('mqtt.broker', '127.0.0.1:9'); config.set('mqtt.discovery', False)",
            None,
            "",
            "telemetry telemetry.line_protocol network.watch mqtt mqtt.service mqtt.client mqtt.packets jsontext",
        ),
        (
            "config.set('mqtt.broker', '127.0.0.1:9'); config.set('telemetry.enabled', False)",
            None,
            "",
            "telemetry telemetry.line_protocol network.watch mqtt mqtt.service mqtt.client mqtt.packets mqtt.discovery "
            "jsontext",
        ),
        (
            "config.set('log.syslog', '127.0.0.1')",
            None,
            "",
            "telemetry telemetry.line_protocol network.watch services.syslog services.ticks",
        ),
        ("config.set('log.syslog', '127.0.0.1'); config.set('mqtt.broker', '127.0.0.1')", "'requested'", "", ""),
        ("", "'requested'", "", ""),
        ("", "'requested'", CALL.format("info"), "services.system sensors.readers"),
        ("", "'requested'", CALL.format("help"), "services.system sensors.readers"),
        ("", "'requested'", CALL.format("config.get"), "services.system sensors.readers"),
        (
            "config.set('ap.channel', 1)",
            "'requested'",
            CALL.format("config.save"),
            "services.system sensors.readers update",
        ),
        (
            "",
            "'requested'",
            CALL.format("update.status"),
            "update update.service update.tar staged_files",
        ),
    ],
)
def test_unused_modules_are_not_loaded(tmp_path, configure, safe, then, more):
    """This checks in an image which modules stay loaded besides those that every board needs."""
    script = tmp_path / "script.py"
    script.write_text(STARTED.format(configure=configure, safe=safe, then=then))
    done = subprocess.run(
        [IMAGE, script], cwd=tmp_path, env=image_environment(), capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    assert loaded == ALWAYS | {f"firmware.{name}" for name in more.split()}


def test_a_borrowed_module_is_forgotten_unless_it_was_loaded_already():
    import sys

    from firmware import borrow

    sys.modules.pop("firmware.config.edit", None)
    assert borrow("firmware.config.edit").changed({}, "a.b", 1) == {"a": {"b": 1}}
    assert "firmware.config.edit" not in sys.modules
    import firmware.config.edit

    assert borrow("firmware.config.edit") is firmware.config.edit is sys.modules["firmware.config.edit"]
