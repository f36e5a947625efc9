"""Echo server of CPython's asyncio protocols: PORT Protocol|BufferedProtocol [uvloop]."""

import asyncio
import sys


class Protocol(asyncio.Protocol):
    """Gets its data in new bytes objects."""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class BufferedProtocol(asyncio.BufferedProtocol):
    """Gets its data in a buffer of its own."""

    def __init__(self):
        self.buffer = bytearray(4096)
        self.view = memoryview(self.buffer)

    def connection_made(self, transport):
        self.transport = transport

    def get_buffer(self, sizehint):
        return self.buffer

    def buffer_updated(self, nbytes):
        self.transport.write(self.view[:nbytes])


async def main(port, protocol):
    """Listen for ever."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", port, backlog=256)
    print("READY")
    await server.serve_forever()


if "uvloop" in sys.argv:
    from uvloop import run
else:
    from asyncio import run
run(main(int(sys.argv[1]), {"Protocol": Protocol, "BufferedProtocol": BufferedProtocol}[sys.argv[2]]))
