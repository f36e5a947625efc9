"""Services: the firmware's own and yours, each started, told about the network, ticked and stopped.

A service is any object with a `name` and any of these methods, none of which may wait:

    start(app)                  take what is needed from `app`: its pool, config, methods, sensors, log
    network_up(connection)      open sockets; connection.address, .netmask, .gateway, .broadcast
    network_down(reason)        close them
    tick()                      every `tick_s` seconds (default 1)
    stop()                      end
"""

from firmware import borrow, const, make
from firmware.log import describe
from XAsyncSockets import XTimer

FOLDER = "services"
_LONGEST_TICK_S = const(86400)
_FAILURES_IN_A_ROW = const(10)  # ticks that fail in a row, after which the service gets no more of them
_LONG_TICK_MS = const(200)


def user_classes(board, folder, class_name, log):
    """[(name, class)] of the user's files in `folder`; the finder is loaded only if there are any."""
    return borrow("firmware.user_files").load_classes(board, folder, class_name, log) if board.folder(folder) else ()


class _Entry:
    """A service and its state."""

    def __init__(self, name, service, app):
        self.name = name
        self.service = service
        self.state = "new"
        self.failures = 0  # in a row
        self._log = app.log
        self._clock = app.clock
        self._longest_ms = _LONG_TICK_MS  # a longer tick is reported
        self._timer = XTimer(app.pool, self._tick)

    def call(self, method, *args):
        """Call a method if the service has it; True unless it raised."""
        function = getattr(self.service, method, None)
        if not function:
            return True
        self._log.mark(self.name, method)
        try:
            function(*args)
            return True
        except Exception as error:
            self.state = f"{method}: {describe(error)}"
            self._log.error(self.name, method, error)
            return False

    def start(self, app):
        """Start it. A service that cannot start is not called again."""
        self.state = "running"
        if self.call("start", app) and hasattr(self.service, "tick"):
            self._next_tick()

    @property
    def runs(self):
        """False if the service could not start."""
        return not self.state.startswith("start:")

    def _next_tick(self):
        self._timer.Restart(min(max(getattr(self.service, "tick_s", 1), 0.001), _LONGEST_TICK_S))

    def _tick(self, _):
        start = self._clock.uptime_ms()
        done = self.call("tick")
        took_ms = self._clock.uptime_ms() - start
        if took_ms > self._longest_ms:
            self._longest_ms = 2 * took_ms  # a few lines, even if its text varies
            self._log.warning(self.name, f"tick took {took_ms} ms; nothing else could run meanwhile")
        if done:
            self.failures = 0
        else:
            self.failures += 1
        if self.failures < _FAILURES_IN_A_ROW:
            self._next_tick()
        else:
            self._log.error(self.name, f"{self.failures} ticks in a row failed: no more of them")

    def stop(self):
        """Stop it, also if it failed before."""
        self._timer.Cancel()
        self.call("stop")


class Late:
    """A service that is loaded when one of its methods is first called: the class at `path`, "module Class"."""

    def __init__(self, name, path, methods):
        self.name = name
        self._path = path
        self._methods = methods

    def start(self, app):
        """Offer its methods."""
        app.methods.offer(self._methods, lambda: app.services.replace(self.name, make(self._path)))


class ServiceSet:
    """All services of an app, in the order of their start."""

    def __init__(self, app):
        self._app = app
        self._entries = []

    def load(self, own, with_user_files):
        """Add the firmware's `own` services and the user's files. A file replaces the service of its name."""
        services = {service.name: service for service in own}
        order = [service.name for service in own]
        classes = user_classes(self._app.board, FOLDER, "Service", self._app.log) if with_user_files else ()
        for name, service_class in classes:
            try:
                services[name] = service_class()
            except Exception as error:
                self._app.log.error(FOLDER, name, error)
                continue
            if name not in order:
                order.append(name)
        for name in order:
            self._entries.append(_Entry(name, services[name], self._app))

    def get(self, name):
        """The service of that name, or None."""
        for entry in self._entries:
            if entry.name == name:
                return entry.service
        return None

    def start(self):
        """Start all."""
        for entry in self._entries:
            entry.start(self._app)

    def replace(self, name, service):
        """Replace the service of that name by `service`, or add it at the end, and start it."""
        for entry in self._entries:
            if entry.name == name:
                entry.service = service
                break
        else:
            entry = _Entry(name, service, self._app)
            self._entries.append(entry)
        entry.start(self._app)
        if self._app.bringup.connection:
            entry.call("network_up", self._app.bringup.connection)

    def network_up(self, connection):
        """Tell those that run."""
        for entry in self._entries:
            if entry.runs:
                entry.call("network_up", connection)

    def network_down(self, reason):
        """Tell those that run."""
        for entry in self._entries:
            if entry.runs:
                entry.call("network_down", reason)

    def stop(self):
        """Stop all, the last started first."""
        for entry in reversed(self._entries):
            entry.stop()

    def describe(self):
        """{name: state}"""
        return {entry.name: entry.state for entry in self._entries}
