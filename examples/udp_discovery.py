"""Programs find each other on a network by UDP broadcast. One program answers with its name, and the other one asks
for names.

    udp_discovery.py answer NAME [PORT]
    udp_discovery.py ask [PORT [BROADCAST_ADDRESS]]
"""
import sys

from XAsyncSockets import XAsyncSocketsPool, XAsyncUDPDatagram

QUESTION = b'who is there?'
PATIENCE_SEC = 1


def answer(name: str, port: int) -> None:
    def on_recv(udp: XAsyncUDPDatagram, address: tuple[str, int], datagram: memoryview) -> None:
        if datagram == QUESTION:
            udp.AsyncSendDatagram(name.encode(), address)

    udp = XAsyncUDPDatagram.Create(pool, ('0.0.0.0', port), broadcast=True)
    udp.OnRecv = on_recv
    print('answering at port', udp.LocalAddr[1])
    pool.AsyncWaitEvents()


def ask(port: int, broadcast_address: str) -> None:
    def on_recv(udp: XAsyncUDPDatagram, address: tuple[str, int], datagram: memoryview) -> None:
        print(address[0], bytes(datagram).decode())

    udp = XAsyncUDPDatagram.Create(pool, ('0.0.0.0', 0), broadcast=True)
    udp.OnRecv = on_recv
    udp.OnFailsToSend = lambda udp, datagram, address: print('cannot send to', address[0])
    udp.AsyncSendDatagram(QUESTION, (broadcast_address, port))
    pool.CallLater(PATIENCE_SEC, lambda arg: pool.StopWaitEvents())
    pool.AsyncWaitEvents()


pool = XAsyncSocketsPool()
role, *words = sys.argv[1:] or ['ask']
if role == 'answer' and words:
    answer(words[0], int(words[1]) if len(words) > 1 else 7779)
elif role != 'ask':
    print('usage: udp_discovery.py answer NAME [PORT], or udp_discovery.py ask [PORT [BROADCAST_ADDRESS]]')
    sys.exit(2)
else:
    ask(int(words[0]) if words else 7779, words[1] if len(words) > 1 else '255.255.255.255')
