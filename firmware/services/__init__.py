"""Services, the firmware's own and yours: they are started, told about the network, called regularly, and stopped.

A service is any object with a `name` and any of these methods, none of which may wait:

    start(app)                  get what it needs from `app`: its pool, config, methods, sensors, log
    network_up(connection)      open sockets; connection.address, .netmask, .gateway, .broadcast
    network_down(reason)        close them
    tick()                      every `tick_s` seconds (default 1); see ticks.py
    stop()                      end
"""

from firmware import Lean, borrow, make
from firmware.log import describe
from firmware.network import guarded


class Entry:
    """A service and its state."""

    state = "new"
    ticks = None  # see ticks.py

    def __init__(self, name, service, app):
        self.name = name
        self.service = service
        self.app = app

    def call(self, method, *args):
        """Call a method if the service has it. Return True unless it raised."""
        function = getattr(self.service, method, None)
        if not function:
            return True
        log = self.app.log
        log.mark(self.name, method)
        try:
            function(*args)
            return True
        except Exception as error:
            self.state = f"{method}: {describe(error)}"
            log.error(self.name, method, error)
            return False


class ServiceSet(Lean):
    """All services of an app, in the order of their start."""

    SELDOM = "firmware.services.service_set"

    def __init__(self, app):
        self.app = app
        self.entries = []

    def get(self, name):
        """Return the service with this name, or None."""
        for entry in self.entries:
            if entry.name == name:
                return entry.service
        return None

    def bring(self, name, path):
        """Load a service at its first call: the class at `path`, "module Class"."""
        self.replace(name, make(path))

    def network_up(self, connection):
        """Call `network_up` of the running services, and show the addresses on the console."""
        self._tell("network_up", connection)
        if not self.get("console"):
            guarded(borrow("firmware.services.console").tell, self.app, connection)

    def network_down(self, reason):
        """Call `network_down` of the running services."""
        self._tell("network_down", reason)

    def _tell(self, method, arg):
        for entry in self.entries:
            if not entry.state.startswith("start:"):  # one that could not start is not called again
                entry.call(method, arg)
