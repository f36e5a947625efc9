"""Returns text lines with MicroPython's asyncio streams, written as its documentation shows."""

import asyncio
import sys


async def serve(reader, writer):
    """Serve one connection."""
    try:
        while True:
            line = await reader.readline()
            if not line:
                break
            writer.write(line)
            await writer.drain()
    except OSError:  # the peer reset its connection
        pass
    writer.close()
    await writer.wait_closed()


async def main(port):
    """Listen for ever."""
    await asyncio.start_server(serve, "127.0.0.1", port, 256)
    print("READY")
    while True:
        await asyncio.sleep(3600)


asyncio.run(main(int(sys.argv[1])))
