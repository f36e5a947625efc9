"""tools/fleet with simulated boards at real brokers."""

import json
import subprocess
import sys

import pytest
from tool import ROOT

from tools.fleet import brokers

BOARDS = 40


def fleet(*words):
    command = [sys.executable, str(ROOT / "tools" / "fleet"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("broker, program", [("mosquitto", "mosquitto"), ("nats", "nats-server")])
def test_all_boards_connect_and_all_messages_arrive(broker, program):
    if not brokers.find(program):
        pytest.skip(f"no {program}: tools/setup/programs.sh peers")
    done = fleet("--broker", broker, "--boards", str(BOARDS), "--interval", "0.2", "--seconds", "1", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["boards"] == BOARDS and figures["sockets of the broker"] > BOARDS
    assert not figures["messages without a connection"] and not figures["connections lost"]
    assert figures["messages to the collector per s"] == pytest.approx(figures["messages to the broker per s"], rel=0.2)
    assert figures["broker's memory, MB"] > 1


@pytest.mark.parametrize("words", [["--boards", "0"], ["--boards", "10001"], ["--seconds", "121"], ["--interval", "0"]])
def test_a_fleet_that_is_too_large_is_refused(words):
    done = fleet(*words)
    assert done.returncode == 2 and "--boards: 1 to 10000" in done.stderr
