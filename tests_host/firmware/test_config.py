"""The configuration: firmware/config/."""

import json
import os
import subprocess

import pytest
from fakes import Bench
from image import IMAGE, image_environment

from firmware.config import Config, ConfigError
from firmware.config.defaults import SCHEMA


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture
def write(tmp_path):
    def write(values, name="config.json"):
        (tmp_path / name).write_text(values if isinstance(values, str) else json.dumps(values))

    return write


def load(bench):
    config = Config(bench.board, bench.log)
    config.load()
    return config


def test_without_a_file_the_defaults_hold(bench):
    config = load(bench)
    assert config.source == "defaults" and not config.faults
    assert config["telemetry"]["port"] == 8094


def test_a_file_changes_what_it_names_and_no_more(bench, write):
    write({"telemetry": {"interval_s": 2.5}})
    config = load(bench)
    assert config.source == "config.json"
    assert config["telemetry"]["interval_s"] == 2.5
    assert config["telemetry"]["port"] == 8094


@pytest.mark.parametrize(
    "values, words",
    [
        ({"telemetry": {"interval_s": "fast"}}, ["telemetry.interval_s", "'fast'", "a number from 0.1 to 86400"]),
        ({"telemetry": {"measurement": "#board"}}, ["telemetry.measurement", "'#board'", "does not begin with '#'"]),
        ({"device": {"tags": ["a=b", "time=now"]}}, ["device.tags.1", "'time=now'", "not device, time, _field, _mea"]),
        ({"device": {"tags": ["=attic"]}}, ["device.tags.0", "'=attic'", "a tag like 'room=kitchen'"]),
        ({"device": {"tags": ["attic"]}}, ["device.tags.0", "'attic'", "like 'room=kitchen'"]),
        ({"device": {"tags": ["room="]}}, ["device.tags.0", "'room='"]),
        ({"device": {"tags": ["device=other"]}}, ["device.tags.0", "'device=other'"]),
        ({"telemetry": {"intervall": 1}}, ["telemetry.intervall", "interval_s"]),
        ({"telemtry": {}}, ["telemtry", "telemetry"]),
        ({"control": {"port": 65536}}, ["control.port", "65536", "0 to 65535"]),
        ({"control": {"port": True}}, ["control.port", "True", "whole number"]),
        ({"control": {"token": "short"}}, ["control.token", "8 to 64"]),
        ({"wifi": {"networks": [{"ssid": "x", "address": "1.2.3"}]}}, ["wifi.networks.0.address", "'1.2.3'"]),
        ({"wifi": {"networks": [{"password": "12345678"}]}}, ["wifi.networks.0.ssid"]),
        ({"wifi": {"networks": [{"ssid": "ü" * 17}]}}, ["wifi.networks.0.ssid", "text of 1 to 32 bytes"]),
        ({"wifi": {"networks": {}}}, ["wifi.networks: an object is not a list of 0 to 8"]),
        ({"telemetry": {"collectors": ["host:0"]}}, ["telemetry.collectors.0", "'host:0'"]),
        ({"telemetry": {"collectors": ["host:udp"]}}, ["telemetry.collectors.0", "'host:udp'"]),
        ({"telemetry": {"collectors": ["host"] * 5}}, ["telemetry.collectors", "a list of 0 to 4"]),
        ({"lan": {"address": "1.2.3.256"}}, ["lan.address", "'1.2.3.256'", "an IPv4 address"]),
        ({"lan": {"address": "1.2.3.x"}}, ["lan.address", "'1.2.3.x'"]),
        ({"lan": {"address": "1.2.3.0004"}}, ["lan.address", "'1.2.3.0004'"]),
        ({"lan": {"netmask": "255.255.0.255"}}, ["lan.netmask", "'255.255.0.255'", "a netmask like"]),
        ({"lan": {"netmask": "0.0.0.0"}}, ["lan.netmask", "a netmask like"]),
        ({"lan": {"netmask": "255.255.255.255"}}, ["lan.netmask", "a netmask like"]),
        ({"lan": {"address": "192.168.1.0"}}, ["lan.address", "a board's address in 192.168.1.0/24"]),
        ({"lan": {"address": "192.168.1.255"}}, ["lan.address", "a board's address in 192.168.1.0/24"]),
        (
            {"lan": {"address": "10.1.2.3", "netmask": "255.255.240.0", "gateway": "10.1.16.1"}},
            ["lan.gateway", "'10.1.16.1'", "another address in 10.1.0.0/20"],
        ),
        ({"lan": {"address": "10.1.2.3", "gateway": "10.1.2.3"}}, ["lan.gateway", "another address in 10.1.2.0/24"]),
        (
            {"wifi": {"networks": [{"ssid": "x", "address": "10.1.2.3", "gateway": "10.1.3.1"}]}},
            ["wifi.networks.0.gateway", "'10.1.3.1'", "another address in 10.1.2.0/24"],
        ),
        ({"wifi": {"networks": [{"ssid": "x", "password": "x" * 64}]}}, ["password", "64 hexadecimal digits"]),
        ({"wifi": {"networks": [{"ssid": "x", "password": "a" * 65}]}}, ["password", "64 hexadecimal digits"]),
        ({"wifi": {"networks": [{"ssid": "x", "security": "wep"}]}}, ["security", "'wep'", "'wpa3'"]),
        ({"ap": {"password": "a" * 64}}, ["ap.password", "8 to 63 bytes"]),
        ({"network": {"ntp": "pool.ntp.org:ntp"}}, ["network.ntp", "a time server", "'pool.ntp.org:ntp'"]),
        ({"network": {"ntp": "http://pool.ntp.org"}}, ["network.ntp", "a time server"]),
        ({"network": {"ntp": "2001:db8::1"}}, ["network.ntp", "no IPv6"]),
        ({"telemetry": {"collectors": ["[2001:db8::1]:8089"]}}, ["telemetry.collectors.0", "no IPv6"]),
        ({"telemetry": {"collectors": ["10.0.0.256"]}}, ["telemetry.collectors.0", "'10.0.0.256'"]),
        ({"telemetry": {"collectors": ["10.0.0.²"]}}, ["telemetry.collectors.0"]),
        ({"telemetry": {"collectors": ["host:²"]}}, ["telemetry.collectors.0"]),
        ({"telemetry": {"collectors": ["a..b"]}}, ["telemetry.collectors.0"]),
        ({"telemetry": {"collectors": ["a" * 64]}}, ["telemetry.collectors.0"]),
        ({"telemetry": {"collectors": ["a b"]}}, ["telemetry.collectors.0"]),
        ({"telemetry": {"collectors": [""]}}, ["telemetry.collectors.0"]),
        ({"lan": {"address": "1.2.3.²"}}, ["lan.address"]),
        ({"ppp": {"chat": ["AT", 7]}}, ["ppp.chat.1"]),
        ({"device": {"name": "-bad-"}}, ["device.name", "'-bad-'", "host name"]),
        ({"network": {"order": ["radio"]}}, ["network.order.0", "'radio'", "'wifi'"]),
        ({"boot": {"button": "x"}}, ["boot.button", "'x'", "null"]),
        ({"network": {"order": []}}, ["network.order: a list is not a list of 1 to 4"]),
        ({"ap": {"ssid": 5}}, ["ap.ssid: 5, without quotes, is not text"]),
        ({"ap": {"password": 12345678}}, ["ap.password: a number, without quotes, is not a secret"]),
        ({"mqtt": {"broker": "mqtt://host"}}, ["mqtt.broker", "'mqtt://host'", "a broker: a name or an IPv4 address"]),
        ({"mqtt": {"password": "secret"}}, ["mqtt.user", "a password needs a user"]),
        ({"mqtt": {"client_id": "my board"}}, ["mqtt.client_id", "'my board'", "letters, digits"]),
        ({"mqtt": {"base": "home/#"}}, ["mqtt.base", "'home/#'", "without '+', '#'"]),
        ({"mqtt": {"base": "/home"}}, ["mqtt.base", "empty levels"]),
        ({"mqtt": {"base": "home/"}}, ["mqtt.base"]),
        ({"mqtt": {"base": "$SYS/x"}}, ["mqtt.base"]),
        ({"mqtt": {"base": "a\0b"}}, ["mqtt.base"]),
        ({"mqtt": {"base": "x" * 65}}, ["mqtt.base", "1 to 64 bytes"]),
        ({"mqtt": {"discovery_prefix": ""}}, ["mqtt.discovery_prefix", "a topic"]),
        ({"mqtt": {"log": "debug"}}, ["mqtt.log", "'debug'", "'warning'"]),
        ({"mqtt": {"rpc": "gpio.write"}}, ["mqtt.rpc", "a list"]),
        ({"mqtt": {"rpc": ["ping", "*"]}}, ["mqtt.rpc.1", "'*'", "like 'gpio.write'"]),
        ({"mqtt": {"rpc": ["auth.login"]}}, ["mqtt.rpc.0", "'auth.login'", "not auth..."]),
        ({"mqtt": {"rpc": ["telemetry.subscribe"]}}, ["mqtt.rpc.0", "'telemetry.subscribe'"]),
        ({"mqtt": {"pins": [{"pin": 2}]}}, ["mqtt.pins.0.name", "1 to 32 letters, digits"]),
        ({"mqtt": {"pins": [{"name": "a/b", "pin": 2}]}}, ["mqtt.pins.0.name", "'a/b'"]),
        ({"mqtt": {"pins": [{"name": "lamp"}]}}, ["mqtt.pins.0.pin", "a number from 0 to 255, or a name like 'LED'"]),
        ({"mqtt": {"pins": [{"name": "lamp", "pin": True}]}}, ["mqtt.pins.0.pin", "True"]),
        ({"mqtt": {"pins": [{"name": "lamp", "pin": 256}]}}, ["mqtt.pins.0.pin", "256"]),
        ({"mqtt": {"pins": [{"name": "lamp", "pin": 2, "mode": "analog"}]}}, ["mqtt.pins.0.mode", "'analog'"]),
        ({"mqtt": {"pins": [{"name": "door", "pin": 2, "pull": "sideways"}]}}, ["mqtt.pins.0.pull", "'sideways'"]),
        (
            {"mqtt": {"pins": [{"name": "lamp", "pin": 2}, {"name": "lamp", "pin": 3}]}},
            ["mqtt.pins.1.name", "'lamp' is used twice"],
        ),
        ({"log": {"syslog": "host:syslog"}}, ["log.syslog", "'host:syslog'", "a syslog server"]),
        ([], ["configuration: a list is not an object"]),
        ("{", ["not JSON"]),
        ("", ["not JSON"]),
        ("x" * 20000, ["20000 bytes"]),
    ],
)
def test_a_fault_is_reported_with_key_value_and_expectation(bench, write, values, words):
    write(values)
    config = load(bench)
    assert config.source == "defaults"
    assert config["telemetry"]["port"] == 8094
    for word in ["config.json"] + words:
        assert word in config.faults[0]
    assert any("config.json" in text for text in bench.texts())


@pytest.mark.parametrize("name", ["a", "0", "Board-09-Z", "x" * 32])
def test_names_that_a_board_may_have(bench, name):
    config = load(bench)
    config.set("device.name", name)
    assert config["device"]["name"] == name


@pytest.mark.parametrize("key, value", [
    ("telemetry.interval_s", 0.1), ("telemetry.interval_s", 86400), ("telemetry.jitter", 0), ("telemetry.port", 1),
    ("telemetry.port", 65535), ("ap.channel", 13), ("control.token", "8 bytes."), ("control.token", "x" * 64),
    ("network.order", ["wifi"] * 4), ("telemetry.collectors", ["host:65535"]), ("lan.address", "255.0.0.1"),
    ("network.ntp", ""), ("network.ntp", "10.0.0.1:123"), ("network.ntp", "time_server.local."),
    ("lan.netmask", "255.255.255.252"), ("lan.netmask", "128.0.0.0"), ("mqtt.broker", ""), ("mqtt.broker", "10.0.0.1"),
    ("mqtt.client_id", ""), ("mqtt.client_id", "A-z_" * 16), ("mqtt.base", ""), ("mqtt.base", "häuser/my attic"),
    ("mqtt.base", "x" * 64), ("mqtt.rpc", ["greeter.count"]), ("log.syslog", ""), ("log.syslog", "log.local:5514"),
    ("mqtt.pins", [{"name": "x" * 32, "pin": "LED", "mode": "in", "pull": None}]),
])  # fmt: skip
def test_the_limits_themselves_are_allowed(bench, key, value):
    config = load(bench)
    config.set(key, value)
    section, name = key.split(".")
    assert config[section][name] == value


def test_a_static_address_at_the_end_of_its_subnet(bench):
    config = load(bench)
    config.set("lan", {"address": "10.1.0.1", "netmask": "255.255.240.0", "gateway": "10.1.15.254"})
    assert config["lan"]["gateway"] == "10.1.15.254"


def test_the_key_of_a_wifi_network_instead_of_its_password(bench):
    key = "0123456789abcdefABCDEF" + "0" * 42
    config = load(bench)
    config.set("wifi.networks", [{"ssid": "x", "password": key}])
    assert config["wifi"]["networks"][0]["password"] == key


def test_a_modem_s_lines_are_as_secret_as_the_pin_in_them(bench):
    config = load(bench)
    config.set("ppp.chat", ["AT+CPIN=1234", "ATD*99#"])
    assert config.get("ppp.chat") == ["***", "***"]


def test_after_a_bad_file_the_last_good_copy_holds(bench, write):
    write({"telemetry": {"port": 9000}})
    load(bench)
    write('{"telemetry": {"port": 9001')
    config = load(bench)
    assert config["telemetry"]["port"] == 9000
    assert config.source == "config.last.json"
    assert "not JSON" in config.faults[0]


def test_saving_replaces_a_bad_file(bench, write):
    write("{")
    config = load(bench)
    config.set("telemetry.port", 9000)
    config.save()
    assert (config.faults, config.source) == ([], "config.json")
    assert load(bench)["telemetry"]["port"] == 9000


def test_a_bad_file_and_a_bad_copy_leave_the_defaults(bench, write):
    write("{")
    write(b"\xff\xfe".decode("latin-1"), "config.last.json")
    config = load(bench)
    assert config.source == "defaults" and len(config.faults) == 2


@pytest.mark.parametrize(
    "values",
    [
        {"wifi": {"networks": {"password": "hidden words"}}},
        {"wifi": {"networks": "hidden words"}},
        {"wifi": "hidden words"},
        {"wifi": {"networks": ["hidden words"]}},
        {"wifi": {"networks": [["hidden words"]]}},
        {"ap": {"ssid": {"password": "hidden words"}}},
        {"ap": {"ssid": ["hidden words"]}},
        {"ap": {"channel": {"password": "hidden words"}}},
        {"telemetry": {"collectors": {"password": "hidden words"}}},
        {"unknown": "hidden words"},
        {"control": {"password": "hidden words"}},
        {"control": {"token": ["hidden words"]}},
        {"control": {"token": {"hidden words": 1}}},
        ["hidden words"],
        "hidden words",
    ],
)
def test_possible_secrets_are_not_shown(bench, write, values):
    write(json.dumps(values))
    assert load(bench).faults
    assert "hidden" not in json.dumps(load(bench).faults + bench.texts())


def test_all_faults_of_a_file_are_reported_at_once(bench, write):
    write({"telemetry": {"port": 0, "intervall": 1}, "wifi": {"networks": [{"ssid": "a"}, {"ssid": ""}]}, "x": 1})
    faults = load(bench).faults
    for number, key in enumerate(["x", "telemetry.intervall", "telemetry.port", "wifi.networks.1.ssid"]):
        assert sum(f"config.json: {key}: " in fault for fault in faults) == 1, (number, faults)
    assert len(faults) == 4 and all(any(fault in text for text in bench.texts()) for fault in faults)


def test_of_many_faults_the_first_and_the_number_of_others_are_reported(bench, write):
    write({f"key{number}": 1 for number in range(1000)})
    faults = load(bench).faults
    assert len(faults) == 11 and faults[-1] == "config.json: and 990 more"


def test_a_byte_order_mark_is_not_a_fault(bench, tmp_path):
    (tmp_path / "config.json").write_bytes('\ufeff{"telemetry": {"port": 9000}}'.encode())
    config = load(bench)
    assert config["telemetry"]["port"] == 9000 and not config.faults


@pytest.mark.parametrize(
    "encoding, words", [("utf-16", "UTF-16"), ("utf-16-le", "UTF-16"), ("utf-16-be", "UTF-16"), ("latin-1", "Latin-1")]
)
def test_a_file_in_another_encoding_is_reported_by_its_name(bench, tmp_path, encoding, words):
    (tmp_path / "config.json").write_bytes('{"ap": {"ssid": "Café"}}'.encode(encoding))
    fault = load(bench).faults[0]
    assert words in fault and "save it as UTF-8" in fault


def test_bytes_that_are_not_text(bench, tmp_path):
    (tmp_path / "config.json").write_bytes(b'{"device": {"name": "\xff\xfe"}}')
    assert load(bench).source == "defaults"


def test_a_file_truncated_anywhere_leaves_a_bootable_board(bench, write):
    text = json.dumps({"telemetry": {"port": 9000}, "control": {"token": "0123456789"}})
    for length in range(len(text)):
        write(text[:length])
        assert load(bench)["telemetry"]["port"] in (8094, 9000)


# Runs in the image, because MicroPython's own JSON parser accepts truncated documents.
LOAD_CUT = """
import sys
from firmware.board import Board
from firmware.clock import Clock
from firmware.config import Config
from firmware.log import Log
text = sys.argv[1]
for length in range(len(text)):
    with open("config.json", "w") as file:
        file.write(text[:length])
    config = Config(Board(files="."), Log(Clock(), console=False))
    config.load()
    assert config.faults and config.source == "defaults", text[:length]
"""


def test_a_truncated_file_is_never_taken_for_a_complete_one(tmp_path):
    text = json.dumps({"device": {"name": "a", "tags": ["x=}", 'y="]', "z=\\"]}, "telemetry": {"port": 9000}})
    command = [IMAGE, "-c", LOAD_CUT, text]
    done = subprocess.run(command, cwd=tmp_path, env=image_environment(), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_set_save_and_load_again(bench):
    config = load(bench)
    assert not config.unsaved
    config.set("telemetry.interval_s", 7)
    config.set("wifi.networks", [{"ssid": "home", "password": "12345678"}])
    config.set("wifi.networks.0.ssid", "attic")
    assert config.unsaved
    config.save()
    assert not config.unsaved
    again = load(bench)
    assert again["telemetry"]["interval_s"] == 7
    assert again["wifi"]["networks"][0]["ssid"] == "attic"


def test_the_file_has_only_values_that_differ_from_the_defaults(bench, tmp_path):
    config = load(bench)
    config.set("telemetry.interval_s", 7)
    config.save()
    assert json.loads((tmp_path / "config.json").read_text()) == {"telemetry": {"interval_s": 7}}


@pytest.mark.parametrize(
    "key, value",
    [
        ("network.order", []),
        ("telemetry.interval_s", 0),
        ("telemetry", 5),
        ("nothing", 1),
        ("device.name.first", "x"),
        ("device.name.first.letter", "x"),
        ("wifi.networks.0.ssid", "x"),
        ("wifi.networks.x", {}),
        ("ppp.user.0", "x"),
        ("network.order.1", "x"),
        ("network.order.x", "wifi"),
        ("", 1),
        ("control.token", "***"),
    ],
)
def test_a_bad_set_changes_nothing(bench, key, value):
    config = load(bench)
    config.set("device.name", "kitchen")
    config.set("network.order", ["wifi"])
    before = config.get()
    with pytest.raises(ConfigError):
        config.set(key, value)
    assert config.get() == before


def test_reset(bench):
    config = load(bench)
    config.set("telemetry.interval_s", 7)
    config.set("telemetry.port", 9000)
    config.reset("telemetry.port")
    assert config["telemetry"]["port"] == 8094 and config["telemetry"]["interval_s"] == 7
    config.reset("telemetry")
    assert config["telemetry"]["interval_s"] == 5
    config.set("device.name", "kitchen")
    config.reset()
    assert config["device"]["name"] == ""
    config.set("wifi.networks", [{"ssid": "home"}])
    for key in ("nothing", "wifi.networks.1"):
        with pytest.raises(ConfigError):
            config.reset(key)
    assert len(config["wifi"]["networks"]) == 1


def test_adding_and_removing_an_item_keeps_the_secrets_of_the_others(bench):
    config = load(bench)
    config.set("wifi.networks.0", {"ssid": "home", "password": "12345678"})
    config.set("wifi.networks.1", {"ssid": "attic"})
    with pytest.raises(ConfigError, match="there is no item '3': the list has 2"):
        config.set("wifi.networks.3", {"ssid": "gap"})
    assert [network["ssid"] for network in config["wifi"]["networks"]] == ["home", "attic"]
    config.reset("wifi.networks.1")
    assert [network["password"] for network in config["wifi"]["networks"]] == ["12345678"]


def test_secrets_are_never_shown(bench, write):
    secrets = {
        "wifi": {"networks": [{"ssid": "home", "password": "hidden-password-1"}]},
        "ap": {"password": "hidden-password-2"},
        "ppp": {"password": "hidden-password-3"},
        "control": {"token": "hidden-password-4"},
    }
    write(secrets)
    config = load(bench)
    assert "hidden" not in json.dumps(config.get())
    assert config.get("control.token") == "***"
    assert config.get("wifi.networks.0.password") == "***"
    for section in secrets:
        bad = json.loads(json.dumps(secrets[section]).replace("hidden-password", "hidden" * 20))
        write({section: bad})
        config = load(bench)
        assert config.faults and "hidden" not in config.faults[0]
    assert not any("hidden" in text for text in bench.texts())


def test_a_power_failure_at_any_moment_of_a_save_loses_nothing(bench, tmp_path, monkeypatch):
    """Stop before each change to the filesystem in turn, and also between the two changes of a rename on FAT."""

    class PowerFailure(BaseException):
        pass

    real = {"open": open, "rename": os.rename, "remove": os.remove}

    def rename_as_fat(source, target):
        """Rename as FAT does, which first removes the file that it replaces (extmod/vfs_fat.c)."""
        if os.path.exists(target):
            os.remove(target)
        os.replace(source, target)

    for rename in (real["rename"], rename_as_fat):
        for steps in range(12):
            for name in os.listdir(tmp_path):
                os.remove(tmp_path / name)
            config = load(bench)
            config.set("telemetry.port", 9000)
            config.save()
            config.set("telemetry.port", 9001)
            left = [steps]

            def counted(action):
                def step(*args):
                    if left[0] == 0:
                        raise PowerFailure
                    left[0] -= 1
                    return action(*args)

                return step

            with monkeypatch.context() as patch:
                patch.setattr("os.rename", rename if rename is rename_as_fat else counted(rename))
                patch.setattr("os.replace", counted(os.replace))
                patch.setattr("os.remove", counted(real["remove"]))
                patch.setattr("builtins.open", counted(open))
                try:
                    config.save()
                except PowerFailure:
                    pass
            assert load(bench)["telemetry"]["port"] in (9000, 9001), f"after {steps} steps"


def test_the_defaults_are_valid():
    values = SCHEMA.fill({})
    assert SCHEMA.fill(json.loads(json.dumps(values))) == values
