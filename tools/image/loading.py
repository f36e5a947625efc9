"""Finds the firmware's modules that stay loaded with a configuration, by running the firmware on this computer.

It is a separate program, because each configuration needs newly imported modules. Its standard input is a JSON list of
[configuration, facts about the board], its standard output a list of lists of names.
"""

import importlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[2]


_answers = {}  # answers to earlier questions


def modules(questions):
    """Return [names] for each (configuration, has_ethernet)."""
    asked = [json.dumps(question, sort_keys=True) for question in questions]
    new = [question for question in dict.fromkeys(asked) if question not in _answers]
    if new:
        command = [sys.executable, "-m", "tools.image.loading"]
        done = subprocess.run(command, cwd=ROOT, input=f"[{', '.join(new)}]", capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        _answers.update(zip(new, json.loads(done.stdout)))
    return [_answers[question] for question in asked]


def _loaded(config, has_ethernet):
    """Load modules as firmware/boot/start.py and app.py do, up to the start of the services."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "firmware"]:
        del sys.modules[name]
    from firmware import boot, borrow  # noqa: F401  # boot stays loaded
    from firmware.app import App
    from firmware.board import Board
    from firmware.clock import Clock
    from firmware.config import Config
    from firmware.log import Log
    from firmware.network import is_address

    config = {**config, "http": {"enabled": False, **config.get("http", {})}}  # as on boards with the code in files
    network = SimpleNamespace(WLAN=None, PPP=None, LAN=None)
    support = SimpleNamespace(NAME="", **({"lan": None} if has_ethernet else {}))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config))
        board = Board(network, SimpleNamespace(), support, folder)
        clock = Clock()
        log = Log(clock)
        log.console = False
        settings = Config(board, log)
        settings.load()
        app = App(board, settings, log, clock)
        app.load_services()
    telemetry = settings["telemetry"]
    mqtt = settings["mqtt"]
    if mqtt.get("broker"):  # it loads its parts when it starts
        if mqtt["log"] != "off":
            importlib.import_module("firmware.mqtt.loglines")
        for setting, part in (("rpc", "commands"), ("pins", "pins"), ("discovery", "discovery")):
            if mqtt[setting]:
                importlib.import_module("firmware.mqtt." + part)
    servers = telemetry["collectors"] if telemetry["enabled"] else []
    servers = [*servers, mqtt.get("broker"), settings["log"]["syslog"]]
    hosts = [one.partition(":")[0] for one in servers if one]
    if not all(map(is_address, hosts)):
        importlib.import_module("firmware.network.names")  # as the first datagram does
    if not borrow("firmware.network.links").make_links(board, settings, clock):
        app.make_fallback()
    return sorted(name for name in sys.modules if name.partition(".")[0] == "firmware")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "lib"))
    print(json.dumps([_loaded(*question) for question in json.load(sys.stdin)]))
