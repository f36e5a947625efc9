"""Makes the messages of Home Assistant's MQTT discovery, one for each entity.

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery. It refuses a message with an unknown key.
"""

from firmware import VERSION
from firmware.jsontext import dumps

_UNHEARD = 3  # missing measurements after which a reading is out of date

# {the field's name up to its first "_": (device class, unit, digits after the decimal point)}
_UNITS = {
    "celsius": ("temperature", "\u00b0C", 1),
    "humidity": ("humidity", "%", 1),
    "pascal": ("atmospheric_pressure", "Pa", 0),
    "rssi": ("signal_strength", "dBm", 0),
    "free": ("data_size", "B", 0),
    "used": ("data_size", "B", 0),
    "memory": ("data_size", "B", 0),
    "uptime": ("duration", "s", 0),
    "volt": ("voltage", "V", 2),
    "ampere": ("current", "A", 2),
    "watt": ("power", "W", 1),
    "lux": ("illuminance", "lx", 0),
    "ppm": ("carbon_dioxide", "ppm", 0),
}
_DIAGNOSTIC = ("", "heap", "wifi")  # sensors that describe the board itself
_COMPONENTS = {"switch": "switch", "contact": "binary_sensor", "truth": "binary_sensor"}


def _word(text):
    """Return `text` in the characters that Home Assistant allows in a topic. Different texts stay different."""
    made = ""
    for byte in text.encode():
        plain = 48 <= byte < 58 or 65 <= byte < 91 or 97 <= byte < 123 or byte == 95
        made += chr(byte) if plain else "-%02x" % byte
    return made


def _object(sensor, field):
    return _word(sensor) + "--" + _word(field)


def _topic(mqtt, sensor, field, kind):
    component = _COMPONENTS.get(kind, "sensor")
    return f"{mqtt.settings['discovery_prefix']}/{component}/{mqtt.id}/{_object(sensor, field)}/config"


def entity(mqtt, sensor, field, kind):
    """Return (topic, payload) of one entity."""
    made = _pin(mqtt, field, kind) if kind in ("switch", "contact") else _reading(mqtt, sensor, field, kind)
    made["uniq_id"] = f"{mqtt.id}-{_object(sensor, field)}"
    made["avty_t"] = mqtt.topic("status")
    made["dev"] = _device(mqtt, field == "uptime" and not sensor)
    made["o"] = {"name": "XAsyncSockets", "sw": VERSION}
    return _topic(mqtt, sensor, field, kind), dumps(made)


def _pin(mqtt, name, kind):
    topic = mqtt.topic("pin/" + name)
    made = {"name": name, "stat_t": topic, "pl_on": "1", "pl_off": "0"}
    if kind == "switch":
        made["cmd_t"] = topic + "/set"
    return made


def _reading(mqtt, sensor, field, kind):
    path = f"get({dumps(sensor)},{{}}).get({dumps(field)})" if sensor else field
    name = sensor if field == "value" else f"{sensor} {field.replace('_', ' ')}".strip()
    # A failed reading is left out of the state. Its template then gives "None", which means unknown.
    made = {"name": name, "stat_t": mqtt.topic("state"), "val_tpl": "{{value_json." + path + "}}"}
    made["exp_aft"] = 30 + int(_UNHEARD * mqtt.app.config["telemetry"]["interval_s"])
    if sensor in _DIAGNOSTIC:
        made["ent_cat"] = "diagnostic"
    if kind == "truth":
        made["pl_on"] = "True"
        made["pl_off"] = "False"
    elif kind == "number":
        made["stat_cla"] = "measurement"
        units = mqtt.app.sensors.units(sensor)
        units = units.get(field) or _UNITS.get(field.split("_")[0])
        if units:
            for key, value in zip(("dev_cla", "unit_of_meas", "sug_dsp_prc"), units):
                made[key] = value
    return made


def _device(mqtt, in_full):
    """Return the device that all entities share. With `in_full` it has all facts, which are sent only once."""
    app = mqtt.app
    made = {"ids": mqtt.id, "name": app.device}
    if in_full:
        made.update({"mf": "XAsyncSockets", "mdl": app.board.name, "sw": VERSION})
        page = getattr(app.services.get("http"), "url", None)
        if page:
            made["cu"] = page
    return made


def gone(mqtt, known, found):
    """Return the topics in `found` whose entity no longer exists. A sensor that fails may come back, so it stays."""
    topics = [_topic(mqtt, sensor, field, known[sensor][field]) for sensor in known for field in known[sensor]]
    kept = [_word(one["name"]) for one in mqtt.app.sensors.list() if one["error"] or one["reading"] is None]
    return [one for one in found if one not in topics and one.split("/")[-2].split("--")[0] not in kept]
