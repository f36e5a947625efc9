"""The network of the board that is weighed: a name server and a time server, as most networks have."""

import select
import socket
import struct
import threading
import time

_SECONDS_1900_TO_1970 = 2208988800


class Servers(threading.Thread):
    """Answers the board's questions at `address`, until the process ends. Every name has that address."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self._address = address
        self._name_socket = self._socket(53)
        self._time_socket = self._socket(123)
        self.start()

    def _socket(self, port):
        found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        found.bind((self._address, port))
        return found

    def run(self):
        """Answer them."""
        while True:
            for one in select.select([self._name_socket, self._time_socket], [], [])[0]:
                datagram, sender = one.recvfrom(512)
                answer = (self._answer_time if one is self._time_socket else self.answer_name)(datagram)
                if answer:
                    one.sendto(answer, sender)

    def answer_name(self, question):
        """RFC 1035: one record, whose name is that of the question."""
        head = question[:2] + b"\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"
        record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x0e\x10\x00\x04"
        return head + question[12:] + record + socket.inet_aton(self._address)

    @staticmethod
    def _answer_time(request):
        """RFC 4330."""
        seconds = struct.pack(">I", int(time.time()) + _SECONDS_1900_TO_1970)
        return b"\x24\x02" + bytes(22) + request[40:48] + bytes(8) + seconds + bytes(4)
