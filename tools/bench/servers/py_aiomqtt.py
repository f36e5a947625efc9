"""MQTT client of aiomqtt: PORT NAME QOS BURST SIZE. Publishes a burst on request, and counts the received messages."""

import asyncio
import sys

from aiomqtt import Client


async def main(port, name, qos, burst, size):
    """Serve for ever."""
    payload = bytes(size)
    count = 0
    async with Client("127.0.0.1", port, identifier=name) as client:
        await client.subscribe([("go/" + name, 1), ("in/" + name, 1)])
        print("READY")
        async for message in client.messages:
            if message.topic.value[0] == "g":
                for _ in range(int(message.payload)):
                    await client.publish("out/" + name, payload, qos)
                continue
            count += 1
            if count == burst:
                count = 0
                await client.publish("done/" + name, b"")


asyncio.run(main(int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])))
