"""Runs a real Home Assistant on this computer, for tests and for trying it out. It is set up without a browser.

It needs Python 3.13, and 500 MB in a folder of its own.
"""

import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

VERSION = "2025.4.4"
USER = PASSWORD = "homeassistant"

# The configuration has only what MQTT needs. default_config would need Bluetooth, FFmpeg and the internet.
PARTS = ("mqtt", "frontend", "http", "api", "auth", "config", "onboarding", "websocket_api")
CONFIGURATION = """
homeassistant:
  name: Test
  unit_system: metric
  time_zone: UTC
http:
  server_host: 127.0.0.1
  server_port: {port}
api:
auth:
config:
onboarding:
websocket_api:
frontend:
logger:
  default: warning
  logs:
    homeassistant.components.mqtt: info
"""
# Prints the packages that the integrations need besides Home Assistant itself.
REQUIREMENTS = """
import json, pathlib, homeassistant
folder = pathlib.Path(homeassistant.__file__).parent / "components"
parts, seen, needed = {parts!r}, set(), set()
parts = list(parts)
while parts:
    part = parts.pop()
    if part not in seen:
        seen.add(part)
        manifest = json.loads((folder / part / "manifest.json").read_text())
        parts += manifest.get("dependencies", [])
        needed.update(manifest.get("requirements", []))
print(*sorted(needed), sep="\\n")
"""
_STARTS_S = 120


def install(folder, python="python3.13"):
    """Install Home Assistant into `folder` with Python 3.13, from the package index that pip uses."""
    folder = Path(folder)
    subprocess.run([python, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "pip", "--disable-pip-version-check", "--quiet"]
    wheels = folder / "wheels"
    subprocess.run([*pip, "download", "--no-deps", "--dest", wheels, f"homeassistant=={VERSION}"], check=True)
    wheel = next(wheels.glob("*.whl"))
    with zipfile.ZipFile(wheel) as content:  # the versions that it was tested with
        (folder / "constraints.txt").write_bytes(content.read("homeassistant/package_constraints.txt"))
    pip += ["install", "--constraint", folder / "constraints.txt"]
    subprocess.run([*pip, wheel], check=True)
    listed = subprocess.run(
        [folder / "bin" / "python", "-c", REQUIREMENTS.format(parts=PARTS)], check=True, stdout=subprocess.PIPE
    )
    (folder / "requirements.txt").write_bytes(listed.stdout)
    subprocess.run([*pip, "--requirement", folder / "requirements.txt"], check=True)


class HomeAssistant:
    """A running Home Assistant. `program`: the folder given to `install`; `folder`: its configuration; `port`: the
    port of its page."""

    def __init__(self, program, folder, port, broker_port):
        self.address = f"http://127.0.0.1:{port}"
        self._folder = Path(folder)
        self._token = None
        (self._folder / "configuration.yaml").write_text(CONFIGURATION.format(port=port))
        self._log = open(self._folder / "output.log", "wb")
        command = [str(Path(program) / "bin" / "hass"), "--config", str(folder), "--skip-pip"]
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log)
        try:
            self._wait_until_it_answers()
            self._set_up(broker_port)
        except BaseException:
            self.stop()
            raise

    @property
    def log(self):
        """Return its log."""
        return (self._folder / "output.log").read_text(errors="replace")

    def request(self, path, data=None, form=False):
        """Return the answer to a request of its REST API."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        if data is not None and not form:
            headers["Content-Type"] = "application/json"
        body = urllib.parse.urlencode(data).encode() if form else None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self.address + path, body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read().decode()
        return json.loads(text) if text[:1] in "[{" else text

    def _wait_until_it_answers(self):
        end = time.monotonic() + _STARTS_S
        while True:
            try:
                return self.request("/api/onboarding")
            except OSError as error:
                failed = self._process.poll() is not None or "recovery mode" in self.log
                if failed or time.monotonic() > end:
                    raise RuntimeError(f"Home Assistant does not start: {error}\n{self.log[-3000:]}") from None
                time.sleep(0.5)

    def _set_up(self, broker_port):
        client = self.address + "/"
        user = {"name": USER, "username": USER, "password": PASSWORD, "client_id": client, "language": "en"}
        code = self.request("/api/onboarding/users", user)["auth_code"]
        grant = {"grant_type": "authorization_code", "code": code, "client_id": client}
        self._token = self.request("/auth/token", grant, form=True)["access_token"]
        flow = self.request("/api/config/config_entries/flow", {"handler": "mqtt"})
        broker = {"broker": "127.0.0.1", "port": broker_port}
        made = self.request(f"/api/config/config_entries/flow/{flow['flow_id']}", broker)
        if made["type"] != "create_entry":
            raise RuntimeError(f"Home Assistant does not accept the broker: {made}")

    def states(self):
        """Return {entity: (state, attributes)}."""
        return {one["entity_id"]: (one["state"], one["attributes"]) for one in self.request("/api/states")}

    def call(self, service, **data):
        """Call a service, for example "switch.turn_on"."""
        return self.request("/api/services/" + service.replace(".", "/"), data)

    def device(self, entity, attribute):
        """Return an attribute of the device that an entity belongs to."""
        template = "{{ device_attr(" + f"{entity!r}, {attribute!r}" + ") }}"
        return self.request("/api/template", {"template": template})

    def complaints(self):
        """Return the warnings and errors of its MQTT integration."""
        return re.findall(r".*(?:WARNING|ERROR).*mqtt.*", self.log)

    def stop(self):
        """Stop Home Assistant."""
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()
