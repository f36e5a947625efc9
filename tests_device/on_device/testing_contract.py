"""Runs one contract test at a time on the board, as tests_host/run_portable.py does on the computer."""

import gc

import harness
import testing_network

import XAsyncSockets

# There is only one thread: the second core must not use lwIP (docs/emulator.md), and the emulated chip has none.
harness.THREADS = False
harness.allocate_lock = harness.start_new_thread = None


def _attributes():
    """Return [(module or class, attribute's name, value)] of the library, because tests change some of them."""
    places = [XAsyncSockets] + [value for value in XAsyncSockets.__dict__.values() if isinstance(value, type)]
    return [(place, name, value) for place in places for name, value in place.__dict__.items()]


_as_imported = _attributes()


def configure(agent_ip, agent_port):
    harness.configure((agent_ip, agent_port), testing_network.up())


def run(module, name):
    outcome, text = harness.run(module, name)
    print("\n%s %s%s" % (outcome, name, ": " + text if outcome == harness.SKIPPED else ""))
    if outcome == harness.FAILED:
        print(text)
    _tidy_up()


def _tidy_up():
    """Close everything, also at the peers, and undo changes. On a computer, the end of a process does this."""
    for place, name, value in _as_imported:
        if place.__dict__.get(name) is not value:
            setattr(place, name, value)
    if harness._agent is not None:
        harness._agent._file.close()
        harness._agent._socket.close()
        harness._agent = None
    gc.collect()
