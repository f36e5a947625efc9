"""The networks between an interpreter under test and its peers. By default the peers are in peer_agent.py.

    Host            both are on this computer's loopback interface
    InProcess       the interpreter has a loopback interface of its own; loopback_agent.py has the peers in its process
    PrivateTap      the interpreter's own network stack is at a TAP interface, and the peers are behind it; both are in
                    a network namespace of their own (see the environment variables of boards/UNIX_ESP32)
"""
import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))    # for PrivateTap, which runs this file in the namespace

from tools.emulator import network  # noqa: E402

TAP = 'tap0'
PEER_IP, OWN_IP = '10.99.0.1', '10.99.0.2'   # the same as in boards/UNIX_ESP32/esp32_sockets/host_network.c


class Host:
    """This computer's loopback interface, with an agent that starts with the first test."""

    ip = '127.0.0.1'
    agent_command = (sys.executable, str(HERE / 'peer_agent.py'))
    prefix = ()         # the words before the command of an interpreter
    missing = None      # why there is no such network here
    _agent = None

    def environment(self):
        """Return the environment variables with which the harness finds its peers."""
        return {'XAS_AGENT': self._agent_address()}

    def _agent_address(self):
        if self._agent is None:
            self._agent = subprocess.Popen(self.agent_command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self._port = int(self._agent.stdout.readline())
        return '%s:%d' % (self.ip, self._port)

    def stop(self):
        if self._agent is not None:
            self._agent.stdin.close()
            self._agent.wait(timeout=5)
            self._agent = None


class InProcess(Host):

    def environment(self):
        return {'XAS_AGENT': 'loopback', 'EXTRA_SOCKETS': '50', 'XAS_SOCKETS': '28'}


class PrivateTap(Host):

    ip = PEER_IP
    agent_command = (sys.executable, __file__)

    def __init__(self):
        self.missing = _private_tap_missing()

    def environment(self):
        # One socket more than a board has: the harness needs it for its peers.
        return {'XAS_AGENT': self._agent_address(), 'XAS_OWN_IP': OWN_IP, 'PRECONFIGURED_TAPIF': TAP,
                'EXTRA_SOCKETS': '1', 'XAS_SOCKETS': '9'}

    @property
    def prefix(self):
        self._agent_address()
        user = [] if os.geteuid() == 0 else ['--user', '--preserve-credentials']
        return ['nsenter', '--target', str(self._agent.pid), '--net', *user]


def _private_tap_missing():
    """Return the reason why there is no such network, or None."""
    if shutil.which('nsenter') is None:
        return 'the program nsenter (util-linux) is not installed'
    trial = subprocess.run(PrivateTap.agent_command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return None if trial.returncode == 0 else trial.stderr.strip()


def _serve_behind_tap():
    """Run the agent of a PrivateTap in a process of its own."""
    import peer_agent
    try:
        network.enter_private_namespace()
        network.add_tap(TAP, PEER_IP, '255.255.255.0')
    except network.NoRights as error:
        sys.exit(str(error))
    asyncio.run(peer_agent.main(PEER_IP))


if __name__ == '__main__':
    _serve_behind_tap()
