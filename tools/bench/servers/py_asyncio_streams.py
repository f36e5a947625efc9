"""Echo server of CPython's asyncio streams."""

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


async def main(port):
    """Listen for ever."""
    server = await asyncio.start_server(echo, "127.0.0.1", port, backlog=256)
    print("READY")
    await server.serve_forever()


asyncio.run(main(int(sys.argv[1])))
