"""The comparisons, one per row, and their bars."""

from dataclasses import dataclass, field

from broker import BURST, SIZE
from runner import PEER_2024, Side

BARE, ASYNCIO, OURS = "bare loop", "asyncio streams", "XAsyncSockets"
TOTAL = 200000000
QUICK = ("tcp-echo-64-1", "tcp-echo-64-50", "tcp-echo-4096-50", "idle-1000", "lines-1", "lines-16", "udp",
         "bulk-upload", "bulk-download", "churn", "timeout-1", "timeout-50", "cpython-echo-50")


@dataclass
class Bar:
    """`side` must reach `ratio` times `other`, by messages per second and by processor time, or by one of the two.

    With a ratio of 0 the side only has to do the work without an error.
    """

    ratio: float
    other: str
    side: str = OURS
    by: tuple = ("rate", "cpu")


@dataclass
class Row:
    """One comparison: the sides take turns under the same load.

    `one_core` puts the load on the server's core. With one message under way the two strictly alternate, and waking the
    other core for every message would cost many times the message itself. `slices` is how often the load visits each
    side in a round: once if opening the connections takes long.
    """

    name: str
    title: str
    mode: str
    load: dict
    sides: list
    bars: list = field(default_factory=list)
    one_core: bool = False
    unit: str = "messages"
    slices: int = 4


def echo_rows():
    """TCP echo on MicroPython: message sizes and numbers of connections."""
    for size in (64, 4096):
        for conns in (1, 50, 500):
            yield Row(f"tcp-echo-{size}-{conns}", f"TCP echo, {size} B, {conns} connection{'s' * (conns > 1)}",
                      "echo", {"size": size, "conns": conns}, echo_sides(conns),
                      [Bar(0.9, BARE)] + ([Bar(3, ASYNCIO)] if conns == 50 else []), one_core=conns == 1)


def echo_sides(conns):
    """Return the three echo servers of MicroPython, ready for `conns` connections."""
    heap = "16M" if conns > 100 else ""
    return [Side(BARE, "mp_bare_echo.py", heap=heap), Side(ASYNCIO, "mp_asyncio_echo.py", heap=heap),
            Side(OURS, "xas_echo.py", (2 * conns + 8,), heap=heap)]


def timeout_rows():
    """Every connection has a timeout, which every message restarts."""
    for conns in (1, 50):
        yield Row(f"timeout-{conns}", f"TCP echo, 64 B, {conns} open, a timeout re-armed at every message", "echo",
                  {"conns": conns},
                  [Side(OURS, "xas_echo.py", (64,)), Side(OURS + ", timeout", "xas_echo.py", (64, 30))],
                  [Bar(0.97, OURS, OURS + ", timeout")], one_core=conns == 1)


def open_row():
    """Many idle connections beside 20 busy ones: the cost of a message grows with their number."""
    sides = [Side(f"{name}, {idle} idle", server, args, heap="96M", load={"idle": idle})
             for idle in (0, 1000, 2000, 4000)
             for name, server, args in ((BARE, "mp_bare_echo.py", ()), (OURS, "xas_echo.py", (4096,)))]
    return Row("open-4000", "TCP echo, 64 B, 20 busy beside up to 4,000 idle connections", "echo", {"conns": 20}, sides,
               [Bar(0, f"{BARE}, 4000 idle", f"{OURS}, 4000 idle")], slices=1)


def line_rows():
    """Text lines, one and sixteen under way on each connection."""
    for depth in (1, 16):
        yield Row(f"lines-{depth}", f"lines of 40 B, 10 connections, {depth} under way on each", "lines",
                  {"size": 40, "conns": 10, "depth": depth},
                  [Side(ASYNCIO, "mp_asyncio_lines.py"), Side(OURS, "xas_lines.py", (16,))], [Bar(4, ASYNCIO)])


def udp_row():
    """Datagrams in and out."""
    polled = BARE + " behind poll"
    return Row("udp", "UDP datagrams in and out, 64 B, 64 under way", "udp", {"depth": 64},
               [Side(BARE, "mp_bare_udp.py"), Side(polled, "mp_bare_udp.py", ("poll",)), Side(OURS, "xas_udp.py")],
               [Bar(0.85, BARE)])


def bulk_rows():
    """One connection carries as much as it can in one direction."""
    for mode in ("upload", "download"):
        yield Row(f"bulk-{mode}", f"bulk {mode}, one connection, 200 MB", mode, {"bytes": TOTAL},
                  [Side(BARE, f"mp_bare_{mode}.py", (TOTAL,)), Side(OURS, f"xas_{mode}.py", (TOTAL,))],
                  [Bar(0.9, BARE)], unit="bytes", slices=1)


def cpython_echo_rows():
    """TCP echo on CPython against its own event loops and uvloop."""
    for conns in (50, 500):
        yield Row(f"cpython-echo-{conns}", f"CPython: TCP echo, 64 B, {conns} connections", "echo", {"conns": conns},
                  [Side("bare epoll loop", "py_bare_echo.py", python=True),
                   Side("asyncio streams", "py_asyncio_streams.py", python=True),
                   Side("asyncio Protocol", "py_protocol.py", ("Protocol",), python=True),
                   Side("asyncio BufferedProtocol", "py_protocol.py", ("BufferedProtocol",), python=True),
                   Side("uvloop Protocol", "py_protocol.py", ("Protocol", "uvloop"), python=True, needs="uvloop"),
                   Side("2024 implementation", "xas_2024_echo.py", python=True, library=PEER_2024),
                   Side(OURS, "xas_echo.py", (conns + 8,), python=True)],
                  [Bar(0.85, "bare epoll loop"), Bar(1, "uvloop Protocol", by=("cpu",)), Bar(1.3, "asyncio Protocol")])


def cpython_open_row():
    """Ten thousand connections on CPython."""
    few, many = f"{OURS}, 100 open", f"{OURS}, 10000 open"
    return Row("cpython-open-10000", "CPython: TCP echo, 64 B, 100 busy of 10,000 open connections", "echo",
               {"conns": 100},
               [Side(few, "xas_echo.py", (11000,), python=True),
                Side(many, "xas_echo.py", (11000,), python=True, load={"idle": 9900}),
                Side("bare epoll loop, 10000 open", "py_bare_echo.py", python=True, load={"idle": 9900})],
               [Bar(1 / 1.1, few, many, by=("cpu",))], slices=1)


def mqtt_rows():
    """MQTT clients at the same broker: messages that they publish, and that they receive."""
    for qos in (0, 1):
        for direction in ("out", "in"):
            sides = [Side(name, server, (server.partition(".")[0], qos, BURST, SIZE), python=True, needs=needs)
                     for name, server, needs in (("paho-mqtt", "py_paho_mqtt.py", "paho"),
                                                 ("aiomqtt", "py_aiomqtt.py", "aiomqtt"),
                                                 (OURS, "xas_mqtt.py", ""))]
            yield Row(f"mqtt-{direction}-{qos}", f"CPython: MQTT messages {direction}, QoS {qos}, {SIZE} B", "mqtt",
                      {"qos": qos, "direction": direction}, sides,
                      [Bar(1, "paho-mqtt", by=("cpu",)), Bar(1, "aiomqtt", by=("cpu",))])


def all_rows():
    """Return every row in the order of the table."""
    return [
        *echo_rows(),
        Row("idle-1000", "TCP echo, 64 B, 20 busy beside 1,000 idle connections", "echo", {"conns": 20, "idle": 1000},
            echo_sides(1020), [Bar(0.85, BARE), Bar(12, ASYNCIO)], slices=2),
        open_row(),
        *line_rows(),
        udp_row(),
        *bulk_rows(),
        Row("churn", "connections opened, served once and closed, 16 at a time", "churn", {"conns": 16},
            echo_sides(16), [Bar(0.8, BARE), Bar(2, ASYNCIO)], unit="connections"),
        *timeout_rows(),
        *cpython_echo_rows(),
        cpython_open_row(),
        *mqtt_rows(),
    ]
