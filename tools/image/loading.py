"""Which of the firmware's modules stay loaded with a configuration: the firmware itself decides, on this computer.

A program, as each configuration needs an interpreter's modules anew: a JSON list of [configuration, facts of the board]
on its standard input, a list of lists of names on its standard output.
"""

import importlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[2]


def modules(questions):
    """[names] for each (configuration, has_ethernet)."""
    command = [sys.executable, "-m", "tools.image.loading"]
    done = subprocess.run(command, cwd=ROOT, input=json.dumps(questions), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def _loaded(config, has_ethernet):
    """As firmware/boot.py and app.py do it, up to where services would start."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "firmware"]:
        del sys.modules[name]
    from firmware import boot, borrow
    from firmware.network.interface import is_address

    network = SimpleNamespace(WLAN=None, PPP=None, LAN=None)
    support = SimpleNamespace(NAME="", **({"lan": None} if has_ethernet else {}))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config))
        board = boot.Board(network, SimpleNamespace(), support, folder)
        clock = boot.Clock()
        log = boot.Log(clock)
        log.console = False
        settings = boot.Config(board, log)
        settings.load()
        app = boot._load(board, settings, log, clock, None)
        app._load()
    telemetry = settings["telemetry"]
    mqtt = settings["mqtt"]
    if mqtt.get("broker"):  # which loads its parts when it starts
        if mqtt["log"] != "off":
            importlib.import_module("firmware.mqtt.loglines")
        for setting, part in (("rpc", "commands"), ("pins", "pins"), ("discovery", "discovery")):
            if mqtt[setting]:
                importlib.import_module("firmware.mqtt." + part)
    servers = telemetry["collectors"] if telemetry["enabled"] else []
    servers = [*servers, mqtt.get("broker"), settings["log"]["syslog"]]
    hosts = [one.partition(":")[0] for one in servers if one]
    if app.services.get("time") or not all(map(is_address, hosts)):
        app.names  # noqa: B018  # loads what looks names up, as the first datagram does
    if not borrow("firmware.network.links").make_links(board, settings, clock):
        app._make_fallback()
    return sorted(name for name in sys.modules if name.partition(".")[0] == "firmware")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "lib"))
    print(json.dumps([_loaded(*question) for question in json.load(sys.stdin)]))
