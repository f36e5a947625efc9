"""An ESP32 at a serial port. It speaks the protocol of the chip's ROM, and of the stub that esptool loads.

(Espressif, "Serial Protocol".) The port is one of TCP: a new connection is a reset.
"""

import hashlib
import select
import socket
import struct
import threading
import zlib

CHIP_IDS = {"esp32c3": 5, "esp32s3": 9, "esp32c6": 13}
SYNC, MEM_END, READ_REG, CHANGE_BAUD, MD5, SECURITY = 0x08, 0x06, 0x0A, 0x0F, 0x13, 0x14
DEFL_BEGIN, DEFL_DATA, ERASE_FLASH = 0x10, 0x11, 0xD0


class Esp32:
    """`flash` is the chip's content, `fastest` the highest baud rate of its line, `console` its output at a boot."""

    def __init__(self, chip, fastest=921600, console=b""):
        self.chip = chip
        self.flash = bytearray(b"\xff" * (4 << 20))
        self.fastest = fastest
        self.console = console
        self.erased = 0
        self.written = 0  # pieces
        self.flips = False  # whether a bit of the written data is flipped
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = "socket://127.0.0.1:{}".format(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self):
        self._listener.close()

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    # Repeatedly, because opening the port discards earlier input.
                    while not select.select([connection], [], [], 0.2)[0]:
                        connection.sendall(self.console if self.written else b"waiting for download\r\n")
                    self._talk(connection)
                except OSError:
                    pass

    def _talk(self, connection):
        self._is_stub = self._deaf = False
        frame = bytearray()
        while True:
            data = connection.recv(65536)
            if not data:
                return
            for byte in data:
                if byte != 0xC0:
                    frame.append(byte)
                elif frame:
                    packet = bytes(frame).replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
                    frame.clear()
                    if not self._deaf and packet[0] == 0:
                        self._answer(connection, packet)

    def _send(self, connection, packet):
        connection.sendall(b"\xc0" + packet.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0")

    def _answer(self, connection, packet):
        operation, data = packet[1], packet[8:]
        result = self._do(operation, data)
        result += bytes(2 if self._is_stub else 4)  # the status: good
        answer = struct.pack("<BBHI", 1, operation, len(result), 0) + result
        for _ in range(8 if operation == SYNC else 1):
            self._send(connection, answer)
        if operation == MEM_END:
            self._is_stub = True
            self._send(connection, b"OHAI")
        if operation == CHANGE_BAUD and struct.unpack_from("<I", data)[0] > self.fastest:
            self._deaf = True

    def _do(self, operation, data):
        if operation == SECURITY:
            return struct.pack("<IB7sII", 0, 0, bytes(7), CHIP_IDS[self.chip], 0)
        if operation == ERASE_FLASH:
            self.flash[:] = b"\xff" * len(self.flash)
            self.erased += 1
        if operation == DEFL_BEGIN:
            self._at = struct.unpack_from("<IIII", data)[3]
            self._inflate = zlib.decompressobj()
        if operation == DEFL_DATA:
            content = bytearray(self._inflate.decompress(data[16:]))
            if self.flips and not self.written:
                content[0] ^= 1
            self.flash[self._at : self._at + len(content)] = content
            self._at += len(content)
            self.written += 1
        if operation == MD5:
            address, size = struct.unpack_from("<II", data)
            return hashlib.md5(self.flash[address : address + size]).digest()
        return b""
