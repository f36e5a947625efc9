"""Runs servers and the load generator, one comparison at a time, and keeps what was measured."""

import atexit
import contextlib
import importlib.util
import json
import os
import resource
import select
import shutil
import socket
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import broker

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build" / "bench"
LOAD = BUILD / "load"
MICROPYTHON = Path(os.environ.get("MICROPYTHON") or ROOT / "build" / "unix" / "micropython")
LIBRARY = BUILD / "lib" / str(os.getpid())  # a copy, so that one run measures one state of the library
PEER_2024 = os.environ.get("PEER_2024", "")  # the folder with the XAsyncSockets.py of 2024, if there is one
START_SECONDS = 10
STOP_SECONDS = 60
PRIORITY = 10
FROZEN = False  # measure the library frozen into the interpreter instead of the one in lib/

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]


class Skipped(Exception):
    """This side cannot run here; the message says why."""


class Failed(Exception):
    """A server or the load generator failed; the message says how."""


@dataclass
class Side:
    """One server of a comparison: the file in servers/, what runs it, and special options of its load.

    `needs` is a module that must be installed; `library` is the folder where the server finds its XAsyncSockets.py.
    """

    name: str
    server: str
    args: tuple = ()
    python: bool = False
    load: dict = field(default_factory=dict)
    heap: str = ""
    needs: str = ""
    library: str = str(LIBRARY)

    def command(self, port):
        """Return the command line that serves on `port`; raise Skipped if something is missing."""
        if not self.library:
            raise Skipped("PEER_2024= does not name its folder")
        if self.needs and not importlib.util.find_spec(self.needs):
            raise Skipped(f"module {self.needs} is not installed")
        if self.python:
            start = [sys.executable, "-u"]
        elif not shutil.which(MICROPYTHON):
            raise Skipped(f"{MICROPYTHON} does not exist (make unix, or MICROPYTHON=)")
        else:
            start = [str(MICROPYTHON)] + (["-X", f"heapsize={self.heap}"] if self.heap else [])
        return [*start, str(HERE / "servers" / self.server), str(port), *map(str, self.args)]

    def environment(self):
        """Return the environment in which the server finds its library, frozen only with `--frozen`."""
        path = ".frozen" if FROZEN else f"{self.library}:.frozen"
        return {**os.environ, "MICROPYPATH": path, "PYTHONPATH": f"{self.library}:{ROOT}",
                "PYTHONDONTWRITEBYTECODE": "1"}


def pinned(core):
    """Return the first action of a new process: stay on `core`, with priority over other work if that is allowed.

    The system divides a core among sessions first, so each process gets its own session and raises its priority.
    """
    def prepare():
        os.sched_setaffinity(0, {core})
        os.setsid()
        with contextlib.suppress(OSError):
            os.nice(-PRIORITY)
            Path("/proc/self/autogroup").write_text(str(-PRIORITY))
    return prepare


def free_port():
    """Return a port that the system chose (a MicroPython socket does not show its port)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def prepare(library):
    """Copy the library from the folder `library`, raise the limit of open files, compile the load generator."""
    LIBRARY.mkdir(parents=True, exist_ok=True)
    atexit.register(shutil.rmtree, LIBRARY)
    shutil.copy(library / "XAsyncSockets.py", LIBRARY)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    source = HERE / "load.c"
    if LOAD.exists() and LOAD.stat().st_mtime > source.stat().st_mtime:
        return
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", LOAD, source], check=True)


@contextlib.contextmanager
def serving(side, core=SERVER_CORE, wrapper=(), port=None):
    """Run the server of `side` on `core` during the block; yields the process and its port.

    The server gets a port of its own. If `port` is given, it is that of a broker, and the server connects to it.
    """
    port = port or free_port()
    process = subprocess.Popen([*wrapper, *side.command(port)], env=side.environment(), text=True, bufsize=1,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               preexec_fn=pinned(core))
    try:
        line = expect_line(process, START_SECONDS * (10 if wrapper else 1))
        if line != "READY":
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)  # it is about to end and prints the reason
            process.kill()
            raise Failed("the server did not start: " + output_end(line + "\n" + process.stdout.read()))
        yield process, port
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def expect_line(process, seconds):
    """Return the next line that `process` prints, or "" if none comes in time."""
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    return process.stdout.readline().strip() if ready else ""


def output_end(output):
    """Return the end of a server's output, which contains its error."""
    return "\n".join(output.strip().splitlines()[-4:])


def generate(mode, port, pid=0, core=LOAD_CORE, **options):
    """Run the load generator on `core` and return its report."""
    words = [f"{name}={value}" for name, value in {"port": port, "pid": pid, **options}.items()]
    done = subprocess.run([LOAD, mode, *words], capture_output=True, text=True, timeout=STOP_SECONDS,
                          preexec_fn=pinned(core))
    report = json.loads(done.stdout or '{"error": "no report"}')
    if "error" in report:
        raise Failed(f"{mode} {' '.join(words)}: {report['error']}")
    return report


@contextlib.contextmanager
def note_failure(absent, name):
    """Note a failure of the side `name` in `absent`; the other sides go on."""
    try:
        yield
    except Skipped as reason:
        absent[name] = {"failed": False, "reason": str(reason)}
    except (Failed, OSError, ValueError, subprocess.SubprocessError) as reason:
        absent[name] = {"failed": True, "reason": str(reason)}


def compare(row, sides, timing, absent):
    """Measure one round: all servers wait while the load visits one after the other, `row.slices` times.

    Returns the figures of every side. The slices follow each other closely, so a disturbance hits all sides.
    """
    load_core = SERVER_CORE if row.one_core else LOAD_CORE
    timing = {name: seconds / row.slices for name, seconds in timing.items()}
    reports = {}
    with contextlib.ExitStack() as running:
        servers = {}
        port = None
        if row.mode == "mqtt":
            port = free_port()
            running.enter_context(broker.broker(port, pinned(load_core)))
        for side in sides:
            if side.name not in absent:
                with note_failure(absent, side.name):
                    servers[side.name] = running.enter_context(serving(side, port=port))
        for side in list(sides) * row.slices:
            if side.name not in absent:
                with note_failure(absent, side.name):
                    reports.setdefault(side.name, []).append(
                        put_load(row, side, servers[side.name], {**timing, **row.load, **side.load}, load_core))
    return {name: figures(found) for name, found in reports.items() if name not in absent}


def put_load(row, side, server, options, load_core):
    """Put one slice of load on a running server; return the report."""
    process, port = server
    try:
        if row.mode == "mqtt":
            return broker.exchange(port, process.pid, side.args[0].encode(), **options)
        return generate(row.mode, port, process.pid, load_core, **options)
    except Failed as failure:
        process.kill()
        raise Failed(f"{failure} {output_end(process.stdout.read())}") from None


def figures(reports):
    """Return the figures of one side in one round."""
    total = {name: sum(one[name] for one in reports) for name in reports[0]}
    messages, seconds = total["messages"], total["seconds"]
    return {"rate": messages / seconds, "cpu": total["server_cpu"] / messages * 1e6, "lost": total["lost"],
            "server_busy": total["server_cpu"] / seconds, "load_busy": total["load_cpu"] / seconds}


def peak_memory(pid):
    """Return the highest resident memory of process `pid` so far, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    return 0


def spread(values):
    """Return median, least and greatest of `values`."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}
