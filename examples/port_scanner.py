"""Lists the TCP ports of a host that accept connections. Many are tried at the same time.

    port_scanner.py HOST [FIRST_PORT [LAST_PORT]]
"""
import sys

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient

AT_ONCE = 4 if sys.platform in ('esp32', 'rp2') else 100     # a board has few sockets
TIMEOUT_SEC = 1


class Scanner:

    def __init__(self, pool: XAsyncSocketsPool, host: str, first: int, last: int) -> None:
        self.pool = pool
        self.host = host
        self.ports = iter(range(first, last + 1))
        self.pending = 0
        self.found = 0
        for _ in range(AT_ONCE):
            self.try_next()

    def try_next(self) -> None:
        for port in self.ports:
            client = XAsyncTCPClient.Create(self.pool, (self.host, port), connectTimeout=TIMEOUT_SEC)
            if client is None:
                print('no network, no host', self.host, 'or no free socket')
                self.ports = iter(())
                break
            self.pending += 1
            client.OnConnected = self.on_connected
            client.OnClosed = self.on_closed
            return
        if not self.pending:
            self.pool.StopWaitEvents()

    def on_connected(self, client: XAsyncTCPClient) -> None:
        self.found += 1
        print(client.SrvAddr[1])
        client.Close()

    def on_closed(self, client: XAsyncTCPClient, reason: int) -> None:
        self.pending -= 1
        self.try_next()


if len(sys.argv) < 2:
    print('usage: port_scanner.py HOST [FIRST_PORT [LAST_PORT]]')
    sys.exit(2)
pool = XAsyncSocketsPool()
first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
last = int(sys.argv[3]) if len(sys.argv) > 3 else 1024
scanner = Scanner(pool, sys.argv[1], first, last)
if scanner.pending:
    pool.AsyncWaitEvents()
print('ports that accept connections:', scanner.found)
