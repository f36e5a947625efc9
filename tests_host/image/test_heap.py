"""The estimate of a configuration's heap, from the table of `make weigh`: docs/weight.md."""

import json
import re
import shutil
from pathlib import Path

import pytest
from stock_images import stock_image

from tools.flash.ports import BoardProblem
from tools.image import heap, loading
from tools.image.__main__ import make
from tools.weigh import boards, table
from tools.weigh.scales import CONFIG, modem_buffer, names

ROOT = Path(__file__).resolve().parents[2]

MPY_CROSS = ROOT / "build" / "mpy-cross" / "mpy-cross"
needs_mpy_cross = pytest.mark.skipif(not MPY_CROSS.exists(), reason="no mpy-cross was built: MICROPYTHON= was given")

WIFI = {"wifi": {"networks": [{"ssid": "home", "password": "correct horse"}]}}
SENSORS = {"adc": [{}], "ds18b20": [{}], "dht22": [{}], "bme280": [{}]}
EVERYTHING = {**WIFI, "sensors": SENSORS, "telemetry": {"collectors": ["collector.local"]}}
C3 = heap.Room("an ESP32-C3", heap.most_of_esp32("esp32c3"))


@pytest.fixture(scope="module")
def measured():
    return table.read()


def used(config, room=C3):
    return heap.estimate(config, room).used


def heap_of(measured, *modules):
    return sum(measured.modules[f"firmware.{name}"].heap for name in modules)


def test_the_estimate_equals_the_measurement(measured):
    by_default = {one.name for one in measured.modules.values() if one.by_default}
    (loaded,) = loading.modules([(CONFIG, False)])
    assert {heap.LIBRARY, *loaded} == by_default, "the firmware has changed: make weigh"
    assert used(CONFIG) == measured.heap["used"]


def test_each_module_has_its_figures(measured):
    assert set(measured.modules) == {heap.LIBRARY, *names()}, "the firmware has changed: make weigh"


def test_only_what_a_configuration_uses_counts(measured):
    least = {"ap": {"enabled": False}}
    assert used(CONFIG) - used(least) > measured.heap["modem"]
    assert used({}) - used(least) == heap_of(measured, "network.access_point")
    assert used(WIFI) - used(least) == heap_of(measured, "network.wifi")
    ethernet = C3._replace(has_ethernet=True)
    assert used({}, ethernet) - used(least) == heap_of(measured, "network.wired")
    for kind in SENSORS:
        assert used({"sensors": {kind: [{}]}}) - used({}) == heap_of(measured, f"sensors.{kind}")
    no_requests = {**least, "network": {"ntp": "", "probe_s": 0}}
    parts = ("network.ntp", "network.watch")  # the look-up module is unloaded after the answer
    assert used(least) - used(no_requests) == heap_of(measured, *parts)
    assert used({**least, "telemetry": {"enabled": False}}) < used(least)


def test_a_collectors_name_needs_the_name_module(measured):
    silent = {"network": {"ntp": ""}}
    for collector, more in (("192.0.2.1:8094", 0), ("collector.local", heap_of(measured, "network.names"))):
        config = {**silent, "telemetry": {"collectors": [collector]}}
        assert used(config) == used(silent) + more


def test_code_in_a_romfs_takes_no_heap(measured):
    (loaded,) = loading.modules([(WIFI, False)])
    code = sum(measured.modules[name].file for name in (heap.LIBRARY, *loaded))
    assert used(WIFI, C3._replace(in_rom=True)) == used(WIFI) - code


def test_a_configuration_that_fits_gets_one_line(measured):
    said = []
    room = C3._replace(most=200 * 1024)
    heap.check(room, {}, said.append)
    assert said == [f"Python's heap: about {round(used({}) / 1024)} of 194 kB in use once it runs"]


def test_a_configuration_that_fits_only_a_few_clients_is_reported():
    said = []
    found = heap.estimate({}, C3)
    heap.check(C3._replace(most=found.used + heap.IN_PIECES), {}, said.append)
    assert len(said) == 1 and f"{round(found.serving / 1024)} kB with 4 clients are too much: set control." in said[0]


def test_a_configuration_with_everything_is_refused_and_the_largest_parts_are_named_first(measured):
    room = C3._replace(most=used(WIFI) + heap.IN_PIECES)
    heap.check(room, WIFI, str)
    with pytest.raises(BoardProblem, match="needs about .* of Python's heap, and an ESP32-C3 has") as error:
        heap.check(room, EVERYTHING, str)
    found = re.findall(r"([a-z0-9_.]+) \(([0-9.]+) kB\)", str(error.value))
    sizes = [float(size) for _, size in found]
    assert sizes == sorted(sizes, reverse=True) and "\n" not in str(error.value)
    # Without NTP the collector's name is still looked up, so this setting alone saves one module.
    assert dict(found)["network.ntp"] == f"{heap_of(measured, 'network.ntp') / 1024:.1f}"
    assert {name for name, _ in found} == {
        "telemetry.enabled",
        "network.ntp",
        "network.probe_s",
        *(f"sensors.{kind}" for kind in SENSORS),
    }


def test_switching_off_the_named_parts_is_enough(measured):
    room = C3._replace(most=used(WIFI) + heap.IN_PIECES)
    heap.check(room, {**EVERYTHING, "sensors": {}, "telemetry": {"enabled": False}}, str)


def test_if_switching_off_is_not_enough_an_image_is_recommended():
    with pytest.raises(BoardProblem, match=r"build our image \(make firmware\)"):
        heap.check(C3._replace(most=40 * 1024), EVERYTHING, str)


@pytest.mark.parametrize(
    "damage, problem",
    [
        (lambda text: text.replace("<!-- modules -->", ""), "there is no place called modules"),
        (lambda text: text.replace("<!-- heap -->", ""), "there is no place called heap"),
        (lambda text: re.sub(r"(once the firmware runs.*\|) [\d,]+ \|", r"\1 much |", text), "'much'"),
        (lambda text: text.replace("in use once", "used once"), "in use once the firmware runs"),
        (lambda text: text.replace("| yes |", "|", 1), "not enough values"),
        (lambda text: re.sub(r"\| `firmware.app` .*\n", "", text), "no figures for firmware.app: make weigh"),
        (None, "No such file"),
    ],
    ids=["no modules", "no heap", "no number", "no row", "no cell", "no such module", "no page"],
)
def test_a_broken_table_is_reported(tmp_path, monkeypatch, damage, problem):
    page = tmp_path / "weight.md"
    if damage:
        page.write_text(damage(table.PAGE.read_text()))
    monkeypatch.setattr(table, "PAGE", page)
    with pytest.raises(BoardProblem, match=f"weight.md.*{problem}"):
        heap.check(C3, {}, str)


def test_the_measured_weights_are_written_into_the_pages(tmp_path, measured):
    for name in ("weight.md", *boards.PAGES):
        shutil.copy(table.PAGE.with_name(name), tmp_path)
    page = tmp_path / "weight.md"
    table.write(measured, page)
    boards.write(measured, tmp_path)
    for name in ("weight.md", *boards.PAGES):
        kept = (tmp_path / name).read_text() == table.PAGE.with_name(name).read_text()
        assert kept, f"{name} is not what make weigh has written"
    less = measured._replace(heap={**measured.heap, "used": measured.heap["used"] - 20480})
    table.write(less, page)
    boards.write(less, tmp_path)
    assert table.read(page) == less
    most = less.heap["used"] + less.heap["free"] - heap.IN_PIECES
    row = f"| RP2040, Wi-Fi | {round(most / 1024)} kB | {round(heap.estimate(WIFI, C3, less).used / 1024)} kB |"
    assert row in (tmp_path / "flash.md").read_text()


def test_the_modems_buffer_has_the_size_that_the_firmware_uses(measured):
    assert measured.heap["modem"] == modem_buffer()


def test_when_the_heap_of_an_esp32_grows():
    assert [heap.growths(number) for number in (50000, 60000, 120000, 126000)] == [0, 1, 1, 2]
    assert [heap.growths(number, "esp32") for number in (50000, 60000, 100000, 110000)] == [0, 1, 1, 2]


@pytest.fixture
def image(tmp_path, monkeypatch):
    """Returns f(board, chip, config, heavier, ...), which makes an image and returns the report about the heap."""

    def run(board, chip, config, heavier=0, **options):
        found = table.read()
        shutil.copy(table.PAGE, tmp_path)
        monkeypatch.setattr(table, "PAGE", tmp_path / "weight.md")
        table.write(found._replace(heap={**found.heap, "used": found.heap["used"] + heavier}), table.PAGE)
        (tmp_path / "stock.bin").write_bytes(stock_image(chip, tmp_path, **options))
        (tmp_path / "config.json").write_text(json.dumps(config))
        said = []
        output = tmp_path / "image.bin"
        make(board, tmp_path / "stock.bin", tmp_path / "config.json", output, MPY_CROSS, said.append)
        assert output.exists()
        (line,) = [line for line in said if line.startswith("Python's heap")]
        return line

    return run


@needs_mpy_cross
def test_make_image_reports_the_heap(image):
    expected = round(used(WIFI) / 1024) - 30
    assert image("ESP32_C3", "esp32c3", WIFI, -30 * 1024).startswith(
        f"Python's heap: about {expected} of 122 kB in use once it runs"
    )


@needs_mpy_cross
def test_make_image_counts_no_code_in_a_romfs(image):
    expected = round(used(WIFI, C3._replace(in_rom=True)) / 1024)
    line = image("ESP32_C3", "esp32c3", WIFI, romfs=0x20000)
    assert line.startswith(f"Python's heap: about {expected} of 122 kB")


@needs_mpy_cross
def test_make_image_refuses_a_configuration_that_cannot_run(image, tmp_path):
    with pytest.raises(BoardProblem, match="and a stock ESP32_C3 has 122 kB for it. .* sensors.ds18b20"):
        image("ESP32_C3", "esp32c3", EVERYTHING, C3.most - heap.IN_PIECES - used(WIFI))
    assert not (tmp_path / "image.bin").exists()


@needs_mpy_cross
@pytest.mark.parametrize(
    "board, chip, options",
    [
        ("ESP32_S3", "esp32s3", {}),
        ("ESP32", "esp32", {"text": b"MicroPython v1.25.0\0PSRAM enabled but initialization failed. Bailing out."}),
    ],
)
def test_external_memory_has_no_such_limit(image, board, chip, options):
    line = image(board, chip, EVERYTHING, 200 * 1024, **options)
    assert line == f"Python's heap: about {round(used(EVERYTHING) / 1024)} kB in use once it runs"
