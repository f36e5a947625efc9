"""Echo server with MicroPython's asyncio streams, written as its documentation shows."""

import asyncio
import sys


async def echo(reader, writer):
    """Serve one connection."""
    try:
        while True:
            data = await reader.read(4096)
            if not data:
                break
            writer.write(data)
            await writer.drain()
    except OSError:  # the peer reset its connection
        pass
    writer.close()
    await writer.wait_closed()


async def main(port):
    """Listen for ever."""
    await asyncio.start_server(echo, "127.0.0.1", port, 256)
    print("READY")
    while True:
        await asyncio.sleep(3600)


asyncio.run(main(int(sys.argv[1])))
