"""Finds all sensors of a board, once, at its start."""

from firmware import borrow
from firmware.log import describe
from firmware.services import user_classes

FOLDER = "sensors"
WIRED_KINDS = ("adc", "ds18b20", "dht22", "bme280")


def _wired(kind):
    """The class for a part that is wired up; imported only where one is configured."""
    if kind == "adc":
        from firmware.sensors.adc import AdcSensor as sensor_class
    elif kind == "ds18b20":
        from firmware.sensors.ds18b20 import Ds18b20Sensor as sensor_class
    elif kind == "dht22":
        from firmware.sensors.dht22 import Dht22Sensor as sensor_class
    else:
        from firmware.sensors.bme280 import Bme280Sensor as sensor_class
    return sensor_class


def load(app):
    """Take in all sensors: the board's own, the chip's, the configured, the user's files."""
    settings = app.config["sensors"]
    found = []
    for find in (app.board.sensors, lambda: borrow("firmware.sensors.onboard").find(app.board, app.bringup)):
        try:
            for sensor in find():
                found.append((sensor.name, sensor))
        except Exception as error:
            app.log.error("sensors", "of the board", error)
    for kind in WIRED_KINDS:
        for one in settings[kind]:
            try:
                found.append((one["name"], _wired(kind)(app.board, one)))
            except Exception as error:
                app.log.error("sensors", f"{one['name']}: {describe(error)}")
    for stem, sensor_class in user_classes(app.board, FOLDER, "Sensor", app.log):
        try:
            sensor = sensor_class()
            found.append((getattr(sensor, "name", stem), sensor))
        except Exception as error:
            app.log.error("sensors", stem, error)
    for name, sensor in found:
        if name not in settings["off"]:
            app.sensors.add(sensor, name)
