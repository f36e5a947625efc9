"""Computes the tables that show what fits on which stock board, from docs/weight.md."""

from tools.image.heap import IN_PIECES, Room, estimate, most_of_esp32

from .table import fill

PAGES = ("esp32.md", "flash.md")
WIFI = {"wifi": {"networks": [{"ssid": "home"}]}}
SENSORS = {"adc": [{}], "ds18b20": [{}], "dht22": [{}], "bme280": [{}]}
ESP32_BOARDS = (
    (Room("`ESP32`, Wi-Fi", most_of_esp32("esp32")), WIFI),
    (Room("`ESP32_POE`, Ethernet", most_of_esp32("esp32"), has_ethernet=True), {}),
    (Room("`ESP32_C3` and `ESP32_C6`, Wi-Fi", most_of_esp32("esp32c3")), WIFI),
)


def esp32_rows(table):
    """Return the lines for docs/esp32.md."""
    return _rows(table, ESP32_BOARDS)


def rp2_rows(table):
    """Return the lines for docs/flash.md."""
    return _rows(table, [(Room("RP2040, Wi-Fi", table.heap["used"] + table.heap["free"]), WIFI)])


def _rows(table, rooms):
    lines = ["| stock board | usable | in use | left | left with 4 clients |", "|---|---|---|---|---|"]
    for room, config in rooms:
        for more, settings in (("", {}), (", a sensor of each kind", {"sensors": SENSORS})):
            found = estimate({**config, **settings}, room, table)
            left = [room.most - IN_PIECES - taken for taken in (found.used, found.serving)]
            cells = [room.name + more, _kb(room.most - IN_PIECES), _kb(found.used), *map(_left, left)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _kb(number):
    return f"{round(number / 1024)} kB"


def _left(number):
    return _kb(number) if number >= 0 else "too little"


def write(table, folder):
    """Put the tables into the pages."""
    for name, rows in zip(PAGES, (esp32_rows(table), rp2_rows(table))):
        page = folder / name
        page.write_text(fill(page.read_text(), "stock boards", rows))
