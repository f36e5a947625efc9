"""Finds all sensors of a board, once, at its start."""

import gc

from firmware import borrow, const, make

_FOLDER = const("sensors")


def _wired(board, kind, settings):
    """Return the sensor for a configured part, whose module is imported only then."""
    for key in ("pin", "scl", "sda"):
        if settings.get(key) in board.reserved_pins:
            raise ValueError(f"pin {settings[key]} belongs to the board itself")
    module = "firmware.sensors." + kind
    try:
        return make(f"{module} {kind[0].upper() + kind[1:]}Sensor", board, settings)
    except ImportError as error:
        if module in str(error):
            raise ValueError(f"{module} is not on this board; make deploy installs it, with these settings") from None
        raise


def load(app):
    """Add all sensors: the board's own, the chip's, the configured ones, and the user's files."""
    settings = app.config["sensors"]
    for find in (app.board.sensors, lambda: onboard_sensors(app.board, app.bringup)):
        try:
            for sensor in find():
                _take(app, sensor.name, sensor)
        except Exception as error:
            app.log.error("sensors", "board's own", error)
    for kind in ("adc", "ds18b20", "dht22", "bme280"):
        for one in settings[kind]:
            _make(app, one["name"], lambda kind=kind, one=one: _wired(app.board, kind, one))
    if not app.board.has_file(_FOLDER):
        return
    for stem, sensor_class in borrow("firmware.user_files").load_classes(app.board, _FOLDER, "Sensor", app.log):
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


def onboard_sensors(board, bringup):
    """Return the sensors that need no wiring. They keep nothing of this module, so that it can be unloaded."""
    sensors = []
    onboard = borrow("firmware.sensors.onboard")
    if hasattr(gc, "mem_free"):
        sensors.append(onboard.HeapSensor())
    chip = _chip_temperature(board.machine)
    if chip:
        sensors.append(onboard.ChipSensor(*chip))
    if hasattr(board.network, "WLAN"):
        sensors.append(onboard.SignalSensor(bringup))
    return sensors


def _chip_temperature(machine):
    """Return (a function that measures the chip's temperature, factor, offset), or None if the chip has no sensor."""
    try:
        import esp32

        if hasattr(esp32, "mcu_temperature"):
            return esp32.mcu_temperature, 1, 0
        if hasattr(esp32, "raw_temperature"):
            return esp32.raw_temperature, 1 / 1.8, -32 / 1.8  # it is in degrees Fahrenheit
    except ImportError:
        pass
    channel = getattr(getattr(machine, "ADC", None), "CORE_TEMP", None)
    if channel is None:
        return None
    # 27 degrees at 0.706 V, and 1.721 mV less for each further degree (RP2040 and RP2350 datasheets).
    return machine.ADC(channel).read_u16, -3.3 / 65535 / 0.001721, 27 + 0.706 / 0.001721
