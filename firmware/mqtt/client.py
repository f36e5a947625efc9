"""A client of MQTT 3.1.1 on a pool of XAsyncSockets, for MicroPython and CPython.

    client = MqttClient(pool, "board-1", on_connected, on_lost, on_message)
    client.subscriptions = ["board-1/set"]
    client.start(lambda: ("192.0.2.7", 1883))

It connects, and connects again whenever the connection is lost, until stop(). It sends and receives messages with QoS 0
and 1. Every answer of the broker has a deadline. Silence and wrong packets end the connection, with a reason in words.
"""

from random import random as _random

from XAsyncSockets import XAsyncTCPClient, XAsyncTCPClientException, XClosedReason, XTimer

from .packets import connect, number, packet, read_publish, subscribe, topic_of

try:
    from micropython import const
except ImportError:

    def const(value):
        """Replace `micropython.const`."""
        return value


_CONNACK = const(0x20)
_PUBLISH = const(0x30)
_PUBACK = const(0x40)
_SUBACK = const(0x90)
_PING = const(b"\xc0\0")
_PINGRESP = const(0xD0)
_DISCONNECT = const(b"\xe0\0")

_ANSWER_S = const(10)  # the broker has to answer within this time
_TRIES = const(5)  # attempts to send a message with QoS 1 in one connection
_FIRST_PAUSE_S = const(1)  # pause before the next connection; it doubles each time
_LONGEST_PAUSE_S = const(60)
_REFUSED_PAUSE_S = const(300)  # repeating a wrong password is useless, and may lock the user out
_SUBSCRIBE_AGAIN_S = const(20)  # after a refusal: a cluster may be electing its leader
_WAITING_BYTES = const(4096)  # bytes that may wait to be sent; further states are dropped

_REFUSALS = (
    "it does not speak MQTT 3.1.1",
    "it does not take the client id",
    "it is not ready",
    "user or password is wrong",
    "user, password or client id is not allowed",
)


def _ignore(*_):
    """Handle an event by doing nothing."""


class _Message:
    """A message with QoS 1 that the broker has not acknowledged yet."""

    def __init__(self, kind, topic, payload, identifier):
        self.kind = kind
        self.topic = topic
        self.payload = payload
        self.identifier = identifier
        self.tries = 0
        self.due = 0


class MqttClient:
    """
    One connection after another to a broker, with a clean session each.

    on_connected(): the client is connected and subscribed. on_lost(reason): a connection, or an attempt at one, has
    ended; `reason` is text for a person. on_message(topic, payload, retained): `payload` is bytes. The first messages
    may come before on_connected(). The broker is told that a message with QoS 1 has arrived when this returns.
    random(): a number from 0 to 1, for the pauses between attempts.

    Attributes, which take effect with the next connection:
    keepalive_s: after half of this time without a packet in one direction the client sends a ping, and the broker has
    this time to answer it.
    user, password: text or None. will: (topic, payload) or None; the broker publishes it, retained, if the client is
    gone without stop(). context: an SSLContext, for TLS; host: the name that the broker's certificate must have.
    subscriptions: topics, which may have wildcards. longest: bytes; a message that has more is left out.
    most_unacked: how many messages with QoS 1 may wait for the broker's acknowledgement.
    on_acked(): the broker has acknowledged one. on_warning(text): something was left out; text for a person.
    second: the length of a second; tests have shorter ones. connected: True from on_connected() to on_lost().
    """

    keepalive_s = 45
    user = password = will = context = host = None
    subscriptions = ()
    longest = 1024
    most_unacked = 8
    on_acked = on_warning = _ignore
    second = 1
    connected = False

    def __init__(self, pool, client_id, on_connected, on_lost, on_message, random=_random):
        self.client_id = client_id
        self.on_connected = on_connected
        self.on_lost = on_lost
        self.on_message = on_message
        self._pool = pool
        self._random = random
        self._timer = XTimer(pool, self._tick)
        self._locate = self._tcp = None
        self._pause_s = _FIRST_PAUSE_S
        self._refused = False
        self._now = self._sent_at = self._heard_at = 0  # times in seconds
        self._awaited = self._due = 0  # the kind of the expected answer, and its deadline
        self._why = None  # the reason if we end the connection
        self._identifier = self._asked_as = 0
        self._asked = ()  # the subscriptions that the broker has not accepted yet
        self._unacked = []  # type: list[_Message]
        self._kind = self._size = self._shift = 0  # the topic of the packet that is being received

    def start(self, locate):
        """Connect. locate(): (address, port), or None if it is not known yet; then it is called again each second."""
        self.stop()
        self._locate = locate
        self._pause_s = _FIRST_PAUSE_S
        self._timer.Restart(0)

    def stop(self):
        """Disconnect, so that the broker does not publish the will. Messages without acknowledgement are dropped."""
        if self.connected:
            self._send(_DISCONNECT)
        tcp = self._tcp
        if tcp:
            tcp.OnConnected = tcp.OnClosed = None
            tcp.Close()
        self._timer.Cancel()
        self._tcp = None
        self._awaited = 0
        self._unacked = []
        self.connected = False

    def publish(self, topic, payload, qos=0, retain=False):
        """Return True if the message was queued, False without a connection or if too many wait already.

        With QoS 1 the broker gets it at least once, even if the connection is lost, unless stop() is called.
        """
        if not self.connected:
            return False
        topic = topic_of(topic)
        payload = payload.encode() if isinstance(payload, str) else payload
        kind = _PUBLISH | (1 if retain else 0)
        if not qos:
            return self._send(packet(kind, topic, payload))
        if len(self._unacked) >= self.most_unacked:
            return False
        message = _Message(kind | 2, topic, bytes(payload), self._new_identifier())
        self._unacked.append(message)
        self._transmit(message)
        return True

    # --- the connection

    def _tick(self, _):
        """Connect, check deadlines, send a ping, send a message again. This is called every second."""
        self._timer.Restart(self.second)
        self._now += 1
        if not self._tcp:
            self._connect()
        elif self._awaited and self._now >= self._due:
            self._end("the broker has not answered within its time")
        elif self.connected:
            if self._asked and not self._awaited and self._now >= self._due:
                self._subscribe(self._asked)
            elif not self._awaited and self._now - min(self._sent_at, self._heard_at) >= self.keepalive_s // 2:
                self._send(_PING)
                self._await(_PINGRESP, self.keepalive_s)
            self._send_again()

    def _connect(self):
        place = self._locate()
        if not place:
            return
        tcp = XAsyncTCPClient.Create(self._pool, place, _ANSWER_S, 256)
        if not tcp:
            self._lost("no connection can be started to %s:%d" % place)
            return
        self._tcp = tcp
        self._why = None
        tcp.SendQueueLimit = _WAITING_BYTES
        tcp.OnConnected = self._on_connected
        tcp.OnClosed = self._on_closed

    def _on_connected(self, tcp):
        patience_s = _ANSWER_S
        if self.context:
            tcp.StartSSLContext(self.context, False, self.host)
            patience_s += tcp.HandshakeSec
        self._send(connect(self.client_id, self.keepalive_s, self.will, self.user, self.password))
        self._await(_CONNACK, patience_s)
        tcp.AsyncRecvData(2, self._on_head)

    def _await(self, kind, seconds):
        self._awaited = kind
        self._due = self._now + seconds

    def _end(self, reason):
        """End the connection at once. Unsent data is dropped."""
        self.connected = False
        if self._tcp and not self._why:
            self._why = reason
            self._tcp.LingerSec = 0
            self._tcp.Close()

    def _on_closed(self, tcp, reason):
        why = self._why or tcp.CloseError
        if not why:
            silent = reason == XClosedReason.Timeout
            why = "the broker does not answer" if silent else "the broker closed the connection"
        why = str(why) or repr(why)
        if self._awaited == _CONNACK and not self._why and not self.context:
            why += " before its first answer: does it want TLS?"
        self._lost(why)

    def _lost(self, reason):
        pause_s = self._pause_s * (1 + self._random()) / 2
        if self._refused:
            self._refused = False
            pause_s = _REFUSED_PAUSE_S
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        self._tcp = None
        self._awaited = 0
        self.connected = False
        self._timer.Restart(pause_s * self.second)
        self.on_lost(reason)

    # --- sending

    def _send(self, data):
        """Return False if the connection is closed, or too much waits to be sent."""
        self._sent_at = self._now
        try:
            return self._tcp is not None and self._tcp.AsyncSendData(data)
        except XAsyncTCPClientException:
            return False

    def _transmit(self, message):
        repeated = 8 if message.tries else 0
        message.tries += 1
        message.due = self._now + _ANSWER_S
        self._send(packet(message.kind | repeated, message.topic, number(message.identifier), message.payload))

    def _send_again(self):
        for message in self._unacked:
            if self._now >= message.due:
                if message.tries == _TRIES:
                    self._end("the broker has not acknowledged a message")
                    return
                self._transmit(message)

    def _new_identifier(self):
        while True:
            self._identifier = self._identifier % 65535 + 1
            if not [message for message in self._unacked if message.identifier == self._identifier]:
                return self._identifier

    # --- receiving: the kind and the first byte of the length, then its other bytes one by one, then the rest

    def _on_head(self, tcp, data, _):
        if len(data) == 2:
            self._kind = data[0]
            self._size = self._shift = 0
        digit = data[-1]
        self._size |= (digit & 127) << self._shift
        self._shift += 7
        if digit < 128:
            if self._size:
                tcp.AsyncRecvData(min(self._size, self.longest), self._on_body)
            else:
                self._on_body(tcp, b"", None)
        elif self._shift < 28:
            tcp.AsyncRecvData(1, self._on_head)
        else:
            self._end("a packet has a length of more than four bytes")

    def _on_body(self, tcp, data, _):
        self._heard_at = self._now
        self._size -= len(data)
        wrong = self._take(self._kind, data)
        if wrong:
            self._end(wrong)
        else:
            self._skip(tcp, b"", None)

    def _skip(self, tcp, data, _):
        """Skip the rest of a message that is too long, then receive the next packet."""
        self._size -= len(data)
        if self._size:
            tcp.AsyncRecvData(min(self._size, self.longest), self._skip)
        else:
            tcp.AsyncRecvData(2, self._on_head)

    def _take(self, kind, body):
        """Handle a packet. Return what is wrong with it, or None."""
        if kind == self._awaited:
            if kind == _CONNACK and len(body) == 2:
                return self._on_connack(body[1])
            if kind == _SUBACK and len(body) == 2 + len(self._asked):
                return self._on_suback(body)
            if kind == _PINGRESP and not body:
                self._awaited = 0
                return None
        elif self._awaited != _CONNACK:
            if kind & 0xF0 == _PUBLISH:
                return self._on_publish(kind & 15, body)
            if kind == _PUBACK and len(body) == 2:
                return self._on_puback(int.from_bytes(body, "big"))
        return "an unexpected packet: kind 0x%02x, %d bytes" % (kind, len(body))

    def _on_connack(self, code):
        if code:
            self._refused = code in (4, 5)
            reason = _REFUSALS[code - 1] if code <= len(_REFUSALS) else "code %d" % code
            return "the broker refuses: " + reason + (", next attempt in 5 minutes" if self._refused else "")
        self._pause_s = _FIRST_PAUSE_S
        self._asked = ()
        if self.subscriptions:
            self._subscribe(self.subscriptions)
        else:
            self._ready()
        return None

    def _subscribe(self, topics):
        self._asked = topics
        self._asked_as = self._new_identifier()
        self._send(subscribe(self._asked_as, topics))
        self._await(_SUBACK, _ANSWER_S)

    def _on_suback(self, body):
        if int.from_bytes(body[:2], "big") != self._asked_as:
            return "an answer to an unknown subscription"
        self._asked = [topic for topic, code in zip(self._asked, body[2:]) if code > 1]
        self._await(0, _SUBSCRIBE_AGAIN_S)
        if not self.connected:
            for topic in self._asked:
                self.on_warning("the broker does not let us subscribe to " + topic)
            self._ready()
        return None

    def _ready(self):
        """Report the connection. Unacknowledged messages of the last one are sent first, in order, as new ones."""
        self._awaited = 0
        self.connected = True
        for message in self._unacked:
            message.identifier = self._new_identifier()
            message.tries = 0
            self._transmit(message)
        self.on_connected()

    def _on_publish(self, flags, body):
        try:
            topic, identifier, payload = read_publish(flags, body)
        except ValueError as error:
            if self._size and 2 + int.from_bytes(body[:2], "big") > len(body) - 2:
                # The packet is valid, but without its identifier, which follows the topic, it cannot be acknowledged.
                self.on_warning("a message with a topic of more than %d bytes was left out" % (len(body) - 4))
                return None
            return "a wrong message: %s" % error
        if self._size:
            self.on_warning("a message of %d bytes to %s was left out" % (len(body) + self._size, topic))
        else:
            self.on_message(topic, payload, bool(flags & 1))
        if identifier and self._tcp and not self._send(packet(_PUBACK, number(identifier))):
            return "the broker reads nothing"
        return None

    def _on_puback(self, identifier):
        for message in self._unacked:
            if message.identifier == identifier:  # no message is left for the second answer to one that was sent twice
                self._unacked.remove(message)
                self.on_acked()
                break
