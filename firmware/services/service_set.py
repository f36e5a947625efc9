"""The rarely used methods of `ServiceSet`: to load, start and stop services."""

from firmware import borrow, const, make
from firmware.services import Entry

_FOLDER = const("services")


def load(services, own, with_user_files):
    """Add the firmware's `own` services and the user's files. A file replaces the service with its name.

    A service that only answers calls is given as (name, path of its class, methods), and is loaded at the first call.
    """
    app = services.app
    found = {}
    order = []
    for service in own:
        name = service[0] if isinstance(service, tuple) else service.name
        found[name] = service
        order.append(name)
    users = []  # type: list
    if with_user_files and app.board.has_file(_FOLDER):
        users = borrow("firmware.user_files").load_classes(app.board, _FOLDER, "Service", app.log)
    for name, service_class in users:
        try:
            found[name] = service_class()
        except Exception as error:
            app.log.error(_FOLDER, name, error)
            continue
        if name not in order:
            order.append(name)
    for name in order:
        service = found[name]
        if isinstance(service, tuple):
            app.methods.offer(service[2], services.bring, *service[:2])
        else:
            services.entries.append(Entry(name, service, app))


def start(services):
    """Start all."""
    for entry in services.entries:
        _start(entry)


def _start(entry):
    """Start it. Start all services. One that cannot start is not called again."""
    entry.state = "running"
    if entry.call("start", entry.app) and hasattr(entry.service, "tick"):
        entry.ticks = make("firmware.services.ticks Ticks", entry, entry.app)


def replace(services, name, service):
    """Replace the service with this name by `service`, or add it at the end, and start it."""
    for entry in services.entries:
        if entry.name == name:
            entry.service = service
            break
    else:
        entry = Entry(name, service, services.app)
        services.entries.append(entry)
    _start(entry)
    if services.app.bringup.connection:
        entry.call("network_up", services.app.bringup.connection)


def stop(services):
    """Stop all, also those that failed, in reverse order."""
    for entry in reversed(services.entries):
        if entry.ticks:
            entry.ticks.stop()
        entry.call("stop")


def describe(services):
    """{name: state}"""
    return {entry.name: entry.state for entry in services.entries}
