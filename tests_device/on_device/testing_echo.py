"""Three implementations of the same TCP echo server, which run on the board to compare their costs.

Each one serves one connection until its end.
"""

import socket

PORT = 7
BUFFER = 1024


def bare():
    """Serve with a bare loop of system calls, which is the least that an echo server can do."""
    import select

    listener = _listen()
    client, _ = listener.accept()
    client.setblocking(False)
    buffer = bytearray(BUFFER)
    view = memoryview(buffer)
    poll = select.poll()
    poll.register(client, select.POLLIN)
    while True:
        for _ in poll.ipoll(1000):
            count = client.readinto(buffer)
            if not count:
                client.close()
                listener.close()
                return
            client.write(view[:count])


def ours():
    """Serve with the library."""
    from XAsyncSockets import XAsyncSocketsPool, XAsyncTCPServer, XBufferSlots

    pool = XAsyncSocketsPool()

    def on_data(client, data, arg):
        client.AsyncSendData(data)
        client.AsyncRecvData(onDataRecv=on_data)

    def on_accepted(server, client):
        client.OnClosed = lambda client, reason: pool.StopWaitEvents()
        client.AsyncRecvData(onDataRecv=on_data)

    server = XAsyncTCPServer.Create(pool, ("0.0.0.0", PORT), 2, XBufferSlots(2, BUFFER))
    server.OnClientAccepted = on_accepted
    pool.AsyncWaitEvents()


def streams():
    """Serve with asyncio's streams."""
    import asyncio

    ended = asyncio.Event()

    async def serve(reader, writer):
        while True:
            data = await reader.read(BUFFER)
            if not data:
                break
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()
        ended.set()

    async def main():
        server = await asyncio.start_server(serve, "0.0.0.0", PORT)
        await ended.wait()
        server.close()

    asyncio.run(main())


def _listen():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", PORT))
    listener.listen(2)
    return listener
