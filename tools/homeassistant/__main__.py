"""Sets up a real Home Assistant with MQTT: python tools/homeassistant {install,run}. See docs/mqtt.md."""

import argparse
import signal
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.homeassistant import PASSWORD, USER, HomeAssistant, install  # noqa: E402


def main():
    parser = argparse.ArgumentParser(prog="tools/homeassistant", description="A real Home Assistant on this computer.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("install", help="install it into a folder")
    command.add_argument("folder", type=Path)
    command.add_argument("--python", default="python3.13", help="a Python 3.13 (default: python3.13)")
    command = commands.add_parser("run", help="run it with a broker on this computer, until Ctrl-C")
    command.add_argument("folder", type=Path, help="the folder of the installation")
    command.add_argument("--broker", type=int, default=1883, metavar="PORT", help="the broker's port (default: 1883)")
    command.add_argument("--port", type=int, default=8123, help="the port of its page (default: 8123)")
    given = parser.parse_args()
    if given.command == "install":
        install(given.folder, given.python)
        print(f"Home Assistant is installed in {given.folder}. For the test: HOMEASSISTANT={given.folder.resolve()}")
        return
    with tempfile.TemporaryDirectory() as folder:
        home = HomeAssistant(given.folder, folder, given.port, given.broker)
        print(f"{home.address}  user {USER}, password {PASSWORD}")
        try:
            signal.pause()
        except KeyboardInterrupt:
            pass
        finally:
            home.stop()


if __name__ == "__main__":
    main()
