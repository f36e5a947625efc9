"""Finds all sensors of a board, once, at its start."""

from firmware import borrow, make
from firmware.services import user_classes

FOLDER = "sensors"
WIRED_KINDS = ("adc", "ds18b20", "dht22", "bme280")


def _wired(board, kind, settings):
    """The sensor for a part that is wired up; its module is imported only if one is configured."""
    for key in ("pin", "scl", "sda"):
        if settings.get(key) in board.reserved_pins:
            raise ValueError(f"pin {settings[key]} belongs to the board itself")
    return make(f"firmware.sensors.{kind} {kind[0].upper() + kind[1:]}Sensor", board, settings)


def load(app):
    """Add all sensors: the board's own, the chip's, the configured ones, and the user's files."""
    settings = app.config["sensors"]
    for find in (app.board.sensors, lambda: borrow("firmware.sensors.onboard").find(app.board, app.bringup)):
        try:
            for sensor in find():
                _take(app, sensor.name, sensor)
        except Exception as error:
            app.log.error("sensors", "of the board", error)
    for kind in WIRED_KINDS:
        for one in settings[kind]:
            _make(app, one["name"], lambda kind=kind, one=one: _wired(app.board, kind, one))
    for stem, sensor_class in user_classes(app.board, FOLDER, "Sensor", app.log):
        _make(app, getattr(sensor_class, "name", stem), sensor_class)


def _make(app, name, make):
    """Add the sensor that `make()` returns. It may raise if the part is missing, and is tried again later."""
    sensor = None
    try:
        sensor = make()
        name = getattr(sensor, "name", name)
    except Exception as error:
        app.log.error("sensors", name, error)
    _take(app, name, sensor, make)


def _take(app, name, sensor, make=None):
    name = str(name)
    if name not in app.config["sensors"]["off"]:
        app.sensors.add(sensor, name, make)
