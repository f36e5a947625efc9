"""GET /metrics in Prometheus' text format 0.0.4. https://prometheus.io/docs/instrumenting/exposition_formats/"""

import gc

from firmware import VERSION, number_text


def text(app):
    """Return the whole text."""
    lines = []
    _add(lines, "xas_uptime_seconds", "gauge", "Seconds since the boot.", app.clock.uptime())
    if hasattr(gc, "mem_free"):
        _add(lines, "xas_heap_free_bytes", "gauge", "Free bytes of Python's heap.", gc.mem_free())
        _add(lines, "xas_heap_used_bytes", "gauge", "Used bytes of Python's heap.", gc.mem_alloc())
    _head(lines, "xas_clients", "gauge", "Open connections.")
    for name in ("control", "http"):
        lines.append(f'xas_clients{{server="{name}"}} {getattr(app.services.get(name), "clients", 0)}\n')
    _head(lines, "xas_build_info", "gauge", "The firmware; its value is always 1.")
    facts = app.board.facts()
    labels = (("device", app.device), ("version", VERSION), ("board", facts["board"]), ("id", facts["id"]))
    lines.append(f"xas_build_info{{{_labels(labels)}}} 1\n")
    _add_readings(lines, app.sensors.read_all())
    return "".join(lines)


def _head(lines, name, kind, about):
    lines.append(f"# HELP {name} {about}\n# TYPE {name} {kind}\n")


def _add(lines, name, kind, about, value):
    _head(lines, name, kind, about)
    lines.append(f"{name} {value}\n")


def _add_readings(lines, readings):
    _head(lines, "xas_reading", "gauge", "The sensors' readings; text has no place here.")
    for sensor in sorted(readings):
        for field, value in sorted(readings[sensor].items()):
            if not isinstance(value, str):
                labels = (("sensor", sensor), ("field", field))
                lines.append(f"xas_reading{{{_labels(labels)}}} {number_text(value + 0)}\n")


def _labels(pairs):
    return ",".join(f'{name}="{_escape(str(value))}"' for name, value in pairs)


def _escape(value):
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
