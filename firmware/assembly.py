"""The rarely used methods of `App`: it is built, started and ended here."""

import gc
import sys

from firmware import NAME, REBOOT, SAFE_MODE, VERSION, borrow
from firmware.control import ControlServer, Methods
from firmware.network import guarded
from firmware.network.bringup import Bringup
from firmware.sensors import SensorHub
from firmware.services import ServiceSet
from XAsyncSockets import XAsyncSocketsPool


def assemble(app):
    """Make the app's parts."""
    board = app.board
    config = app.config
    app.device = config["device"]["name"] or board.default_device()
    app.pool = XAsyncSocketsPool()
    app.pool.OnException = app.report
    app.methods = Methods(app.log)
    app.sensors = SensorHub(app.clock, app.pool, app.log)
    links = borrow("firmware.network.links").make_links(board, config, app.clock)
    app.bringup = Bringup(links, app.make_fallback, config["network"], app.clock, app.pool, app.log, app.random)
    app.services = ServiceSet(app)


def start(app):
    """Start everything, before the loop runs."""
    app.log.info("boot", f"{NAME} {VERSION}, {app.device}" + (", SAFE MODE" if app.safe_reason else ""))
    if app.safe_reason:
        app.log.warning("boot", f"safe mode: {app.safe_reason}")
    if sys.platform == "esp32":
        borrow("firmware.network.radio").check(app.board, app.log)
    load_services(app)
    app.services.start()
    app.bringup.listen(app.services)
    guarded(getattr(app.board.network, "hostname", str), app.device)
    app.bringup.start()
    if hasattr(gc, "threshold"):
        gc.threshold(-1)  # boot set a threshold while modules were loaded
    gc.collect()


def load_services(app):
    """Load the sensors and services that the configuration uses."""
    if not app.safe_reason:
        borrow("firmware.sensors.load").load(app)
    own = borrow("firmware.services.own").find(app) + [ControlServer()]
    app.services.load(own, with_user_files=not app.safe_reason)


def load_names(app):
    """Load the module that looks up host names."""
    names = borrow("firmware.network.names")
    app.known_names = names.Names(app.board.network, app.pool, app.clock, app.log)
    app.bringup.listen(app.known_names)


def forget_name(app, host):
    """Forget the address of `host`, which is not needed soon. If it was the only one, unload the look-up module."""
    names = app.known_names
    if names and names.forget(host):
        app.bringup.listeners.remove(names)
        app.known_names = None


def restart_later(app, safe_mode=False):
    """Restart the board once the answer to the caller has been sent. Return True."""
    app.pool.CallLater(0.3, app.stop, SAFE_MODE if safe_mode else REBOOT)
    return True


def end(app):
    """Stop everything, in order."""
    app.bringup.stop()
    app.services.stop()
    app.pool.StopWaitEvents()
