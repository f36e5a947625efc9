"""`discover` and `watch` with broadcasts of real boards, and with lost datagrams."""

import csv
import json
import re
import socket
import subprocess
import sys

import pytest
from free_ports import free_port
from image import PATIENCE_S, QUIET, ROOT, until

from firmware import VERSION
from tools.board import watch
from tools.board.certificate import make
from tools.board.errors import INTERRUPTED
from tools.board.watch import ask


def broadcast_to(board, port, **device):
    """Start a board that broadcasts to this port on the computer's own network."""
    settings = {**QUIET["telemetry"], "broadcast": True, "port": port}
    board.configure(telemetry=settings, device={"name": "attic", **device})
    board.start()


def collect_at(board, port):
    """Start a board that sends to this port over the loopback interface."""
    settings = {**QUIET["telemetry"], "collectors": [f"127.0.0.1:{port}"]}
    board.configure(telemetry=settings, device={"name": "cellar"})
    board.start()


def send(port, *datagrams):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram if isinstance(datagram, bytes) else datagram.encode(), ("127.0.0.1", port))


def line(seq, uptime=100, device="fake", **readings):
    fields = "".join(f"{name}={value}," for name, value in readings.items())
    return f"board,device={device} {fields}seq={seq}i,uptime={uptime}i\n"


def test_json_has_one_object_per_broadcast(tool, board):
    watching = tool("watch", "--json", "--count", "5", "--port", "0")
    broadcast_to(board, watching.port(), tags=["room=back yard"])
    code, output, _ = watching.wait()
    assert code == 0
    records = [json.loads(text) for text in output.splitlines()]
    assert len(records) == 5
    first = records[0]["seq"]
    assert [record["seq"] for record in records] == list(range(first, first + 5))
    for record in records:
        assert record["device"] == "attic"
        assert record["tags"] == {"device": "attic", "room": "back yard"}
        assert record["lost"] == 0
        assert record["readings"]["heap_free"] > 0
        assert record["readings"]["system_memory_total"] > 0
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["time"])


def test_csv_has_a_heading_and_one_row_per_datagram(tool, board):
    watching = tool("watch", "--csv", "--count", "3", "--port", "0")
    collect_at(board, watching.port())
    code, output, _ = watching.wait()
    assert code == 0
    rows = list(csv.DictReader(output.splitlines()))
    assert len(rows) == 3
    assert {row["device"] for row in rows} == {"cellar"}
    assert {row["address"] for row in rows} == {"127.0.0.1"}
    assert all(int(row["heap_free"]) > 0 for row in rows)
    assert int(rows[2]["seq"]) == int(rows[0]["seq"]) + 2


def test_csv_with_chosen_columns(tool):
    watching = tool("watch", "--csv", "--columns", "b,none", "--count", "2", "--port", "0")
    send(watching.port(), line(1, a=1.5, b=2.5), line(2, b='"x, y"'))
    code, output, errors = watching.wait()
    assert (code, errors) == (0, "")
    assert [row[6:] for row in csv.reader(output.splitlines())] == [["b", "none"], ["2.5", ""], ["x, y", ""]]


def test_csv_reports_readings_without_a_column(tool):
    watching = tool("watch", "--csv", "--count", "3", "--port", "0")
    send(watching.port(), line(1, a=1), line(2, a=1, late=2), line(3, a=1, late=2))
    code, output, errors = watching.wait()
    assert code == 0
    assert [row[6:] for row in csv.reader(output.splitlines())] == [["a"], ["1"], ["1"], ["1"]]
    assert errors.count("the CSV has no column for late") == 1


def test_in_a_pipe_it_is_plain_text(tool, board):
    watching = tool("watch", "--count", "2", "--port", "0", FORCE_COLOR="", TERM="xterm")
    collect_at(board, watching.port())
    code, output, _ = watching.wait()
    assert code == 0
    for text in output.splitlines():
        assert re.fullmatch(r"\d\d:\d\d:\d\d cellar 127\.0\.0\.1 seq=\d+ uptime=\d+ lost=0( \w+=[\d.e+-]+)+", text)


def test_loss_is_counted_and_late_or_double_datagrams_are_not_lost(tool):
    watching = tool("watch", "--json", "--count", "8", "--port", "0")
    send(
        watching.port(),
        line(10),
        line(11),
        line(15),  # 12, 13 and 14 are missing
        line(13),  # late
        line(15),  # double: no record
        line(16),
        b"\xff\xfe",
        "no telemetry",
        "board,device=x seq=1i,uptime=1i,a=inf\n",
        line(0, uptime=1),  # the board has restarted
        line(3, uptime=2),  # 1 and 2 are missing
        line(7, device="other"),
    )
    code, output, errors = watching.wait()
    assert code == 0
    records = [json.loads(text) for text in output.splitlines()]
    seen = [(record["device"], record["seq"], record["lost"]) for record in records]
    assert seen == [
        ("fake", 10, 0),
        ("fake", 11, 0),
        ("fake", 15, 3),
        ("fake", 13, 2),
        ("fake", 16, 2),
        ("fake", 0, 2),
        ("fake", 3, 4),
        ("other", 7, 0),
    ]
    assert "3 datagrams were not telemetry" in errors


def test_one_board_of_several(tool):
    watching = tool("watch", "--json", "--device", "b", "--count", "1", "--port", "0")
    send(watching.port(), line(1, device="a"), line(2, device="b"))
    code, output, _ = watching.wait()
    assert code == 0
    assert [json.loads(text)["seq"] for text in output.splitlines()] == [2]


def test_the_table_in_a_terminal(terminal, board):
    watching = terminal("watch", "--port", "0")
    port = int(watching.wait_for(r"UDP port (\d+): no board was heard yet").group(1))
    collect_at(board, port)
    watching.wait_for("heap_free +([0-9.]+ [kM]B +){3}[▁-█]{3}")
    watching.wait_for_screen("cellar")
    watching.wait_for_screen("lost 0")
    watching.type("\x03")
    code, _ = watching.wait()
    assert code == 0


READINGS = {
    "heap_free": "1381234i",
    "system_load_1m": "1.23",
    "system_memory_available": "24412345678i",
    "system_memory_total": "25276510208i",
    "soil_moisture": "123456789i",
    "z_air_pressure": "101325.5",
}


def test_a_terminal_of_80_columns_and_24_lines_cuts_no_number(terminal):
    watching = terminal("watch", "--port", "0", lines=24, columns=80)
    port = int(watching.wait_for(r"UDP port (\d+): no board was heard yet").group(1))
    for seq in range(30):
        send(port, line(seq, device="unix-c5404a", **{**READINGS, "heap_free": f"{1381234 + seq}i"}))
    screen = watching.wait_for_screen("z_air_pressure +101326 ")
    shown = [row.split() for row in screen]
    for cells in (
        "soil_moisture 123456789",
        "heap_free 1.38 MB",
        "system_memory_available 24.4 GB",
        "system_memory_total 25.3 GB",
    ):
        assert any(f" {cells} " in f" {' '.join(row)} " for row in shown), "\n".join(screen)
    assert "…" not in "".join(screen)
    order = [name for row in shown for name in row if name in READINGS]
    assert order[:2] == ["soil_moisture", "z_air_pressure"], "the user's own come first"
    watching.type("\x03")
    assert watching.wait()[0] == 0


def test_charts_shrink_before_the_extremes_go_and_the_extremes_before_names(terminal):
    def shows(columns):
        watching = terminal("watch", "--port", "0", lines=24, columns=columns)
        port = int(watching.wait_for(r"UDP port (\d+):").group(1))
        send(port, *(line(seq, device="b", celsius=1000 + seq, uptime=100 + seq) for seq in range(40)))
        screen = watching.wait_for_screen(" 1039 ")
        watching.type("\x03")
        text = " ".join(screen)
        return max(len(bars) for bars in re.findall("[▁-█]*", text)), "lowest" in text, "…" in text

    seen = [shows(columns) for columns in (110, 66, 54, 34, 29)]
    assert [rest for _, *rest in seen] == [
        [True, False], [True, False], [False, False], [False, False], [False, True]
    ]  # fmt: skip
    widest, *smaller = [bars for bars, *_ in seen]
    assert widest == 24 and all(4 <= bars < 24 for bars in smaller[:2]) and smaller[2:] == [0, 0]


def test_the_readings_of_the_table_can_be_chosen(terminal):
    watching = terminal("watch", "--port", "0", "--columns", "b,a")
    port = int(watching.wait_for(r"UDP port (\d+): no board was heard yet").group(1))
    send(port, line(1, a=1, b=2, other=3))
    screen = watching.wait_for_screen(" a +1 ")
    assert "other" not in "".join(screen)
    assert [row.split()[1:3] for row in screen if row.split()[1:2] in (["a"], ["b"])] == [["b", "2"], ["a", "1"]]


@pytest.mark.parametrize("form", ["--json", None])
def test_the_readings_of_a_stream_can_be_chosen(tool, form):
    watching = tool("watch", *([form] if form else []), "--columns", "b", "--count", "1", "--port", "0")
    send(watching.port(), line(1, a=1, b=2))
    code, output, _ = watching.wait()
    assert code == 0
    assert json.loads(output)["readings"] == {"b": 2} if form else output.endswith("lost=0 b=2\n")


def test_a_terminal_of_40_lines_shows_20_boards_a_row_each(terminal):
    watching = terminal("watch", "--port", "0")
    port = int(watching.wait_for(r"UDP port (\d+): no board was heard yet").group(1))
    names = [f"board-{number:02}" for number in range(20)]
    send(port, *(line(1, device=name, celsius=number) for number, name in enumerate(names)))
    watching.wait_for("board +address +up +lost +heard +celsius")
    for number, name in enumerate(names):
        watching.wait_for(rf"{name} +127.0.0.1 +100 s +0 +\d+ s ago +{number} ")
    watching.type("\x03")
    assert watching.wait()[0] == 0


def test_rows_that_do_not_fit_are_counted(terminal):
    watching = terminal("watch", "--port", "0")
    port = int(watching.wait_for(r"UDP port (\d+): no board was heard yet").group(1))
    readings = {f"reading_{letter}": 1 for letter in "abcdef"}
    send(port, *(line(1, device=f"board-{number:02}", **readings) for number in range(50)))
    watching.wait_for("A larger window has room for 15 more boards and 2 more columns.")
    watching.type("\x03")
    assert watching.wait()[0] == 0


def test_ctrl_c_ends_a_stream(tool, board):
    watching = tool("watch", "--json", "--port", "0")
    collect_at(board, watching.port())
    assert json.loads(watching.line())["device"] == "cellar"
    watching.interrupt()
    assert watching.wait()[0] == 0


def test_without_any_board_the_exit_code_is_3(tool):
    code, output, errors = tool("watch", "--seconds", "0.3", "--json", "--port", "0").wait()
    assert (code, output) == (3, "")
    assert "nothing was heard on UDP port" in errors


def test_discover_lists_each_board_once(tool, board):
    discovering = tool("discover", "--seconds", PATIENCE_S, "--count", "2", "--json", "--port", "0")
    port = discovering.port()
    broadcast_to(board, port)
    send(port, line(1, device="other", a=1), line(2, device="other", a=1))
    code, output, _ = discovering.wait()
    assert code == 0
    found = {about["device"]: about for about in map(json.loads, output.splitlines())}
    assert set(found) == {"attic", "other"} and output.count("\n") == 2
    assert "heap_free" in found["attic"]["readings"]
    about = {"device": "other", "address": "127.0.0.1", "uptime": 100, "readings": ["a"]}
    assert about.items() <= found["other"].items()
    assert set(found["other"]) - set(about) == {"port", "kind", "version", "tls", "safe_mode"}


@pytest.mark.parametrize("state", ["telemetry off", "not broadcast", "elsewhere", "seldom", "safe mode", "TLS"])
def test_discover_always_finds_a_board(tool, board, tmp_path, state):
    discovering = tool("discover", "--seconds", PATIENCE_S, "--json", "--port", "0")
    port = discovering.port()
    telemetry = {"enabled": True, "broadcast": True, "port": port, "interval_s": 3600}
    changes = {"telemetry off": {"enabled": False}, "elsewhere": {"port": free_port()}}
    changes["not broadcast"] = {"broadcast": False}
    telemetry.update(changes.get(state, {}))
    board.configure(device={"name": "attic"}, network={"announce": port}, telemetry=telemetry)
    if state == "safe mode":
        board.write("boots.json", '{"unsteady": 3, "planned": false, "safe": false}')
    if state == "TLS":
        certificate, key = make(["attic"], 2)
        board.write("certificate.pem", certificate.decode())
        board.write("key.pem", key.decode())
    board.start()
    control = int(board.wait_for(r"^control +\w+ [\d.]+:(\d+)").group(1))
    about = json.loads(discovering.line())
    discovering.interrupt()
    code, output, _ = discovering.wait()
    assert (code, output) == (INTERRUPTED, "") and about["device"] == "attic"
    assert (about["port"], about["kind"], about["version"]) == (control, "UNIX", VERSION)
    assert (about["tls"], about["safe_mode"]) == (state == "TLS", state == "safe mode")


def test_a_board_is_shown_with_the_port_that_it_announces_after_its_telemetry(tool):
    discovering = tool("discover", "--seconds", "2", "--json", "--port", "0")
    send(discovering.port(), line(1, device="attic", a=1), "board,device=attic control=7i,uptime=100i\n")
    code, output, _ = discovering.wait()
    assert code == 0
    assert [(about["device"], about["port"]) for about in map(json.loads, output.splitlines())] == [("attic", 7)]


def test_an_announcement_is_not_a_reading(tool):
    watching = tool("watch", "--csv", "--count", "2", "--port", "0")
    send(watching.port(), "board,device=attic control=8095i,uptime=100i\n", line(1, device="attic", a=1))
    code, output, _ = watching.wait()
    assert code == 0 and output.count("attic") == 1 and "control" not in output


def test_discover_asks_a_board_what_it_is(board):
    board.configure(device={"name": "attic"})
    board.start()
    about = ask("127.0.0.1", board.port)
    assert about.pop("version") == VERSION and about.pop("device") == "attic"
    assert about == {"port": board.port, "kind": "UNIX", "tls": False, "safe_mode": False}


def test_discover_finds_out_that_a_board_speaks_tls(board, tmp_path):
    certificate, key = make(["kitchen"], 2)
    board.write("certificate.pem", certificate.decode())
    board.write("key.pem", key.decode())
    board.start()
    about = ask("127.0.0.1", int(board.wait_for(r"^control +TLS [\d.]+:(\d+)").group(1)))
    assert (about["kind"], about["tls"]) == ("UNIX", True)


def test_discover_ignores_other_programs(monkeypatch):
    monkeypatch.setattr(watch, "_ASK_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert ask("127.0.0.1", listener.getsockname()[1]) == {}
    assert ask("127.0.0.1", free_port()) == {}


def test_discover_gives_advice_if_it_finds_nothing(tool):
    discovering = tool("discover", "--seconds", "1.5", "--port", "0")
    send(discovering.port(), "hello")
    code, output, errors = discovering.wait()
    assert (code, output) == (3, "")
    assert "no board was heard" in errors and "1 datagrams were not telemetry" in errors and "firewall" in errors


def test_a_port_used_by_another_program(tool):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("0.0.0.0", 0))
        port = holder.getsockname()[1]
        code, _, errors = tool("watch", "--port", port).wait()
    assert code == 3
    assert errors == f"board: UDP port {port} cannot be used: another program has it\n"


@pytest.mark.parametrize(
    "words, said",
    [
        (["--port", "x"], "--port: 'x' is not a port from 0 to 65535"),
        (["--seconds", "-1"], "--seconds: '-1' is not a number of seconds above 0"),
        (["--seconds", "inf"], "--seconds: 'inf'"),
        (["--count", "0"], "--count: '0' is not a whole number, 1 or more"),
        (["--csv", "--json"], "not allowed with"),
    ],
)
def test_wrong_options(tool, words, said):
    code, _, errors = tool("watch", *words).wait()
    assert code == 2
    assert said in errors and errors.count("\n") == 1


def test_the_command_that_a_board_prints_works_while_watch_runs_and_twice(tool, board):
    watching = tool("watch", "--json", "--port", str(free_port()))  # the library shares only a named port
    broadcast_to(board, watching.port())
    program = board.wait_for(r'^ +python3 -c "(from socket import .*)"$').group(1)
    listening = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in listening:
        assert "device=" in process.communicate(timeout=PATIENCE_S)[0]
    watching.end()


def test_the_command_of_the_documentation_works_while_watch_runs_and_twice(tool):
    page = (ROOT / "docs" / "telemetry.md").read_text()
    program = re.search(r'^    python3 -c "(import socket; .*)"$', page, re.MULTILINE).group(1)
    watching = tool("watch", "--json", "--count", "1", "--port", "0")
    port = watching.port()
    command = [sys.executable, "-c", program.replace("8094", str(port))]
    listening = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)

            def all_have_ended():
                sender.sendto(line(1, a=1).encode(), ("127.255.255.255", port))
                return all(process.poll() is not None for process in listening)

            until(all_have_ended)
        assert [process.stdout.read().strip() for process in listening] == [line(1, a=1).strip()] * 2
    finally:
        for process in listening:
            process.kill()
            process.communicate()
    assert watching.wait()[0] == 0
