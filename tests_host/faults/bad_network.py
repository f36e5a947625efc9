"""Inside a private network namespace: a stream there and back through echo.py while the network is at fault.

    bad_network.py FAULT PROGRAM ...     prints `passed`, or `skipped` where the kernel has no such fault
"""
import socket
import subprocess
import sys
import threading
import time

PORT = 20000
SIZE = 300000
NETEM = {'loss': 'loss 10%', 'reordering': 'delay 10ms reorder 50% 50%', 'duplication': 'duplicate 30%',
         'delay': 'delay 300ms'}


def link_down_and_up():
    for _ in range(2):
        subprocess.run('ip link set lo down; sleep 0.3; ip link set lo up', shell=True, check=True)
        time.sleep(0.3)


def main(fault, command):
    subprocess.run('ip link set lo up', shell=True, check=True)
    if fault in NETEM:
        made = subprocess.run('tc qdisc add dev lo root netem ' + NETEM[fault], shell=True, capture_output=True)
        if made.returncode:
            return 'skipped: ' + made.stderr.decode().strip()
    server = subprocess.Popen([*command, str(PORT)], stdout=subprocess.PIPE)
    try:
        assert server.stdout.readline() == b'READY\n'
        client = socket.create_connection(('127.0.0.1', PORT), 20)
        data = bytes(range(251)) * (SIZE // 251)
        sender = threading.Thread(target=send_slowly, args=(client, data))
        sender.start()
        if fault == 'link':
            link_down_and_up()
        got = b''
        while len(got) < len(data):
            more = client.recv(65536)
            assert more, 'the end after %d bytes' % len(got)
            got += more
        assert got == data, 'lost or doubled'
        sender.join()
        return 'passed'
    finally:
        server.kill()
        server.wait()


def send_slowly(client, data):
    for start in range(0, len(data), 20000):
        client.sendall(data[start:start + 20000])
        time.sleep(0.05)


print(main(sys.argv[1], sys.argv[2:]))
