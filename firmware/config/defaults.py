"""The configuration: all keys, with their allowed values and defaults.

docs/configuration.md explains them, and a test checks that it is complete.
"""

from firmware.config.schema import (
    Address,
    Apart,
    Choice,
    Flag,
    HostName,
    Integer,
    ListOf,
    Measurement,
    Netmask,
    Number,
    Optional,
    Record,
    Secret,
    Server,
    Tag,
    Text,
    WifiKey,
    check_static,
)

# One object serves all keys of a kind, because each object takes 50 bytes of every board's heap.
ON = Flag(True)
OFF = Flag(False)
PIN_OR_NONE = Optional(Integer(0, 0, 255))
ADDRESS = Address()
NETMASK = Netmask()

WIFI_NETWORK = Record(
    fit=check_static,
    ssid=Text(shortest=1, longest=32),
    password=WifiKey(),  # empty: the network is open
    security=Choice("any", "any", "wpa2", "wpa3"),
    address=ADDRESS,  # static; empty: DHCP
    netmask=NETMASK,
    gateway=ADDRESS,
    dns=ADDRESS,
)

SCHEMA = Record(
    device=Record(
        name=HostName(),  # empty: the kind of board and the end of its number
        tags=ListOf(Tag(), 8),  # more tags for each line, such as "room=kitchen"
    ),
    boot=Record(
        repl=OFF,
        button=PIN_OR_NONE,  # held low at the start: escape to the REPL
        unclaim_button=PIN_OR_NONE,  # held for 5 s: token and networks are removed
        watchdog_s=Integer(0, 0, 300),  # 0: none
        steady_s=Integer(30, 1, 3600),
    ),
    network=Record(
        order=ListOf(Choice("host", "host", "lan", "wifi", "ppp"), 4, ("lan", "wifi", "ppp", "host"), least=1),
        connect_timeout_s=Integer(20, 1, 300),
        backoff_s=Number(2, 0.1, 3600),
        backoff_most_s=Number(300, 0.1, 86400),
        probe_s=Integer(30, 0, 3600),  # 0: never
        ntp=Server("pool.ntp.org", "a time server"),
        announce=Integer(8094, 0, 65535),  # UDP port on which tools look for boards; 0: no announcements
    ),
    wifi=Record(
        networks=ListOf(WIFI_NETWORK, 8),
        country=Text("XX", 2, 2),
        power_save=OFF,
    ),
    ap=Record(
        enabled=ON,
        ssid=Text("", 0, 32),  # empty: the device's name
        password=Secret(8, 63),  # empty: open
        channel=Integer(6, 1, 13),
    ),
    lan=Record(
        fit=check_static,
        enabled=ON,
        phy=Optional(Text("", 1, 16)),  # ESP32: the chip's name, such as "LAN8720"
        phy_address=Integer(0, 0, 31),
        mdc=PIN_OR_NONE,
        mdio=PIN_OR_NONE,
        power=PIN_OR_NONE,
        address=ADDRESS,
        netmask=NETMASK,
        gateway=ADDRESS,
        dns=ADDRESS,
    ),
    ppp=Record(
        enabled=ON,
        uart=Optional(Integer(0, 0, 9)),  # null: the board's own, if it has one
        tx=PIN_OR_NONE,
        rx=PIN_OR_NONE,
        baud=Integer(921600, 1200, 5000000),
        chat=ListOf(Secret(1, 100), 12),  # lines for the modem before PPP; secret, because one may contain the PIN
        user=Text("", 0, 64),
        password=Secret(1, 64),
    ),
    telemetry=Record(
        enabled=ON,
        interval_s=Number(5, 0.1, 86400),
        jitter=Number(0.1, 0, 0.5),  # as a part of the interval
        broadcast=ON,
        port=Integer(8094, 1, 65535),
        collectors=ListOf(Server("", "a collector", shortest=1), 4),
        measurement=Measurement("board"),
    ),
    mqtt=Apart("firmware.config.mqtt_keys"),
    log=Record(syslog=Server("", "a syslog server")),  # empty: none
    sensors=Record(
        off=ListOf(Text(shortest=1, longest=32), 16),  # names of sensors not to use
        adc=ListOf(Record(name=Text("adc", 1, 32), pin=Integer(26, 0, 255), scale=Number(1, -1e6, 1e6)), 8),
        ds18b20=ListOf(Record(name=Text("ds18b20", 1, 32), pin=Integer(0, 0, 255)), 4),
        dht22=ListOf(Record(name=Text("dht22", 1, 32), pin=Integer(0, 0, 255)), 4),
        bme280=ListOf(
            Record(
                name=Text("bme280", 1, 32),
                bus=Integer(0, 0, 9),
                scl=PIN_OR_NONE,
                sda=PIN_OR_NONE,
                address=Integer(0x76, 0x08, 0x77),
            ),
            4,
        ),
    ),
    http=Record(
        enabled=Optional(Flag(None)),  # null: on, but off on a chip with the firmware in files
        port=Optional(Integer(0, 0, 65535)),  # null: 80, on a computer 8080; 0: chosen by the system
    ),
    control=Record(
        port=Integer(8095, 0, 65535),  # 0: chosen by the system
        token=Secret(8, 64),
        certificate=Text("certificate.pem", 0, 64),  # TLS if this file exists; empty: never
        key=Text("key.pem", 0, 64),
        clients=Integer(4, 1, 64),
        line_bytes=Integer(1024, 128, 16384),
        requests_per_s=Integer(20, 1, 10000),
        idle_s=Integer(300, 1, 86400),
    ),
)


def fill(given):
    """Return the checked values of a configuration. Sections with a separate module that are not given are {}."""
    Apart.used = True
    try:
        return SCHEMA.fill(given)
    finally:
        Apart.used = False


def safe(values):
    """Return `values` for safe mode: settings that may lock the owner out have their defaults. The token and TLS
    stay."""
    start = SCHEMA.fill({})
    control = start["control"]
    for key in ("port", "token", "certificate", "key"):
        control[key] = values["control"][key]
    values["control"] = control
    start["network"]["announce"] = values["network"]["announce"] or start["network"]["announce"]
    values["network"] = start["network"]
    for link in ("ap", "lan", "ppp"):
        values[link]["enabled"] = True
    return values
