"""Simulates many boards at an MQTT broker on this computer, and measures the broker's load.

    build/venv/bin/python tools/fleet --boards 1000 --broker mosquitto

The program starts the broker on the loopback interface, and stops it at its end. docs/scale.md shows the results.
"""

import argparse
import contextlib
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "lib")]

from tools.fleet import brokers  # noqa: E402
from tools.fleet.boards import Collector, Fleet  # noqa: E402

CONNECTING_S = 120
PER_ROUND = 50  # boards that are switched on at a time; in no real network are there more


def main():
    """Run it, and print the figures."""
    arguments = parse()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if not brokers.find("mosquitto" if arguments.broker == "mosquitto" else "nats-server"):
        sys.exit(f"fleet: {arguments.broker} is not installed: sh tools/setup/programs.sh peers")
    with tempfile.TemporaryDirectory() as folder:
        servers = brokers.KINDS[arguments.broker](Path(folder))
        try:
            figures = measure(servers, arguments)
        finally:
            for server in servers:
                server.kill()
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:34}{value:12,}")


def parse():
    """Return the options."""
    parser = argparse.ArgumentParser(prog="fleet", description=__doc__.splitlines()[0])
    parser.add_argument("--broker", choices=brokers.KINDS, default="mosquitto")
    parser.add_argument("--boards", type=int, default=1000, help="1 to 10000 (default: %(default)s)")
    parser.add_argument("--interval", type=float, default=5, help="seconds between two lines (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=20, help="seconds to measure (default: %(default)s)")
    parser.add_argument("--retain", action="store_true", help="let the broker keep each board's last line")
    parser.add_argument("--restart", action="store_true", help="also kill the broker and measure the boards' return")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not 1 <= arguments.boards <= 10000 or not 0 < arguments.seconds <= 120 or arguments.interval <= 0:
        parser.error("--boards: 1 to 10000; --seconds: up to 120; --interval: more than 0")
    return arguments


def measure(servers, arguments):
    """Return {name: value} of everything that is measured."""
    for server in servers:
        server.start()
    for server in servers:
        server.wait()
    empty_kb = sum(memory_kb(server, "VmRSS") for server in servers)
    fleet = Fleet(arguments.boards, lambda turn: place(servers, turn), arguments.interval, arguments.retain)
    collector = Collector(fleet.pool, lambda turn: place(servers, turn))
    fleet.run(CONNECTING_S, lambda: collector.client.connected)
    started = time.monotonic()
    for first in range(0, arguments.boards, PER_ROUND):
        for board in fleet.boards[first : first + PER_ROUND]:
            board.start()
        fleet.run(0.02)
    fleet.run(CONNECTING_S, lambda: fleet.connected() == arguments.boards)
    figures = {"boards": fleet.connected(), "until all are connected, s": round(time.monotonic() - started, 1)}
    fleet.run(2 * arguments.interval)
    figures.update(steady(fleet, collector, servers, arguments, empty_kb))
    if arguments.restart:
        figures.update(restart(fleet, servers, arguments))
    fleet.stop()
    return figures


def place(servers, turn):
    """Return the server for a board. The servers take turns, as the addresses of a host name do."""
    server = servers[turn % len(servers)]
    return server.address, server.port


def steady(fleet, collector, servers, arguments, empty_kb):
    """Return the broker's load while the boards publish."""
    counts = fleet.counts
    before = counts.sent, counts.sent_bytes, collector.taken, counts.dropped, counts.lost
    cpu, own, start = sum(map(cpu_s, servers)), time.process_time(), time.monotonic()
    fleet.run(arguments.seconds)
    seconds = time.monotonic() - start
    cpu, own = sum(map(cpu_s, servers)) - cpu, time.process_time() - own
    after = counts.sent, counts.sent_bytes, collector.taken, counts.dropped, counts.lost
    sent, size, taken, dropped, lost = (late - early for late, early in zip(after, before))
    used_kb = sum(memory_kb(server, "VmRSS") for server in servers)
    return {
        "messages to the broker per s": round(sent / seconds),
        "messages to the collector per s": round(taken / seconds),
        "bytes to the broker per s": round(size / seconds),
        "bytes per message": round(size / max(sent, 1)),
        "messages without a connection": dropped,
        "connections lost": lost,
        "sockets of the broker": sum(map(sockets, servers)),
        "broker's CPU, % of a core": round(100 * cpu / seconds, 1),
        "broker's CPU per message, us": round(1e6 * cpu / max(sent, 1)),
        "broker's memory, MB": round(used_kb / 1024, 1),
        "memory per board, KB": round((used_kb - empty_kb) / arguments.boards, 1),
        "simulation's CPU, % of a core": round(100 * own / seconds, 1),
    }


def restart(fleet, servers, arguments):
    """Kill the first server, and start it again after 5 s."""
    before = fleet.connected()
    servers[0].kill()
    fleet.run(5, lambda: fleet.connected() == before and len(servers) > 1)
    start = time.monotonic()
    servers[0].start().wait()
    fleet.run(CONNECTING_S, lambda: fleet.connected() == arguments.boards)
    return {
        "all back after the broker is, s": round(time.monotonic() - start, 1),
        "back": fleet.connected(),
    }


def memory_kb(server, name):
    """Return the memory of the server's process; `name` is a name in /proc/<pid>/status."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(name + ":")).split()[1])


def cpu_s(server):
    """Return the processor time of the server's process."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sockets(server):
    """Return the number of sockets that the server's process has open."""
    folder = f"/proc/{server.process.pid}/fd"
    count = 0
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # it was closed meanwhile
            count += os.readlink(f"{folder}/{name}").startswith("socket:")
    return count


if __name__ == "__main__":
    main()
