"""Runs several services in one thread: echo and time over TCP, echo over UDP, and a report now and then.

    one_pool.py [FIRST_PORT [REPORT_SEC]]
"""
import sys
import time

from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPClient, XAsyncTCPServer, XAsyncUDPDatagram

served = 0


def serve_echo(server: XAsyncTCPServer, client: XAsyncTCPClient) -> None:
    global served
    served += 1
    client.AsyncRecvData(onDataRecv=echo)


def echo(client: XAsyncTCPClient, data: memoryview, arg: None) -> None:
    client.AsyncSendData(data)
    client.AsyncRecvData(onDataRecv=echo)


def serve_time(server: XAsyncTCPServer, client: XAsyncTCPClient) -> None:
    global served
    served += 1
    year, month, day, hour, minute, second = time.gmtime()[:6]
    client.AsyncSendData(f'{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC\n'.encode())
    client.Close()


def echo_datagram(udp: XAsyncUDPDatagram, address: tuple[str, int], datagram: memoryview) -> None:
    global served
    served += 1
    udp.AsyncSendDatagram(datagram, address)


def report(arg: None) -> None:
    print(served, 'served,', len(pool.GetAllAsyncSockets()), 'sockets open')
    timer.Restart(report_sec)


first_port = int(sys.argv[1]) if len(sys.argv) > 1 else 7777
report_sec = float(sys.argv[2]) if len(sys.argv) > 2 else 10
pool = XAsyncSocketsPool()
echo_server = XAsyncTCPServer.Create(pool, ('0.0.0.0', first_port))
echo_server.OnClientAccepted = serve_echo
time_server = XAsyncTCPServer.Create(pool, ('0.0.0.0', first_port and first_port + 1))
time_server.OnClientAccepted = serve_time
udp_echo = XAsyncUDPDatagram.Create(pool, ('0.0.0.0', first_port))
udp_echo.OnRecv = echo_datagram
timer = pool.CallLater(report_sec, report)
print('echo at port', echo_server.SrvAddr[1])
print('time at port', time_server.SrvAddr[1])
print('echo of datagrams at port', udp_echo.LocalAddr[1])
pool.AsyncWaitEvents()
