"""The packets of MQTT 3.1.1 as bytes (OASIS standard, sections 2 and 3)."""


def text(value):
    """Return a string or bytes with the length before it."""
    data = value.encode() if isinstance(value, str) else value
    return number(len(data)) + data


def number(value):
    """Return a length or a packet identifier as two bytes."""
    return value.to_bytes(2, "big")


def packet(kind, *parts):
    """Return a packet. `kind` is its first byte, and `parts` follow the header."""
    size = sum([len(part) for part in parts])
    head = [kind]
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return b"".join((bytes(head),) + parts)


def connect(client_id, keepalive_s, will=None, user=None, password=None):
    """Return the first packet, for a clean session. The will, (topic, payload), has QoS 1 and is retained."""
    flags = 0x02
    parts = [text(client_id)]
    if will:
        flags |= 0x2C
        parts += [text(part) for part in will]
    if user is not None or password is not None:
        flags |= 0x80
        parts.append(text(user or ""))
    if password is not None:
        flags |= 0x40
        parts.append(text(password))
    return packet(0x10, b"\0\4MQTT\4", bytes((flags,)), number(keepalive_s), *parts)


def subscribe(identifier, topics):
    """Return a packet that subscribes to all `topics` with QoS 1."""
    return packet(0x82, number(identifier), b"".join([text(topic) + b"\1" for topic in topics]))


def topic_of(name):
    """Return the topic of a message to be sent, with the length before it."""
    if not name or "+" in name or "#" in name or "\0" in name:
        raise ValueError("a message needs a topic without + and #, not %r" % name)
    return text(name)


def read_publish(flags, body):
    """Return (topic, packet identifier or None, payload) of a received message. Raises ValueError for a wrong one."""
    if flags & 6 > 2:
        raise ValueError("its QoS was not requested")
    end = 2 + int.from_bytes(body[:2], "big")
    start = end + (flags & 2)
    if end == 2 or len(body) < start:
        raise ValueError("its topic is empty or cut off")
    try:
        name = str(body[2:end], "utf-8")
    except ValueError:
        name = "\0"
    if "+" in name or "#" in name or "\0" in name:
        raise ValueError("its topic has characters that it must not have")
    identifier = int.from_bytes(body[end:start], "big") if flags & 2 else None
    if identifier == 0:
        raise ValueError("its packet identifier is 0")
    return name, identifier, bytes(body[start:])
