"""A board at a serial port: a pseudo-terminal with MicroPython's raw REPL, for mpremote.

The code runs in the real interpreter (the UNIX image). Its files are in memory, on the littlefs that a Pico has, or on
FAT.
"""

import ast
import os
import pty
import re
import subprocess
import termios
import threading
import tty

from image import IMAGE, PATIENCE_S

_RUNNER = """
import sys, vfs

class Flash:
    def __init__(self):
        self.data = bytearray(64 * 4096)
    def readblocks(self, block, into, offset=0):
        start = block * block_size + offset
        into[:] = self.data[start : start + len(into)]
    def writeblocks(self, block, data, offset=0):
        start = block * block_size + offset
        self.data[start : start + len(data)] = data
    def ioctl(self, request, argument):
        return {4: len(self.data) // block_size, 5: block_size, 6: 0}.get(request)

filesystem = getattr(vfs, sys.argv[1])
block_size = 512 if filesystem is vfs.VfsFat else 4096
flash = Flash()
filesystem.mkfs(flash)
vfs.umount("/")
vfs.mount(filesystem(flash), "/")
scope = {}
while True:
    code = sys.stdin.read(int(sys.stdin.readline()))
    failure = ""
    try:
        exec(code, scope)
    except Exception as error:
        failure = "Traceback (most recent call last):\\r\\n%s: %s" % (type(error).__name__, error)
    print("\\x04" + failure, end="\\x04")
"""


class SerialBoard:
    """mpremote opens `port`. Code that contains `fails_at` ends in an error; with `leaves_at` the board disappears."""

    def __init__(self, filesystem="VfsLfs2"):
        self.fails_at = None
        self.leaves_at = None
        self.ran = []
        self.restarts = 0
        self._restarted = threading.Event()
        self._fd, self._inner = pty.openpty()
        tty.setraw(self._inner, termios.TCSANOW)
        self.port = os.ttyname(self._inner)
        command = [IMAGE, "-c", _RUNNER, filesystem]
        self._interpreter = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._server = threading.Thread(target=self._serve, daemon=True)
        self._server.start()

    def _serve(self):
        received = b""
        raw = False
        try:
            while True:
                received += os.read(self._fd, 4096)
                while True:
                    if received.startswith(b"\x05A\x01"):  # this board does not have the faster way to send code
                        received = received[3:]
                        os.write(self._fd, b"R\x00")
                    elif b"\x01" in received:
                        received = received.partition(b"\x01")[2]
                        raw = True
                        os.write(self._fd, b"raw REPL; CTRL-B to exit\r\n>")
                    elif raw and received.startswith(b"\r\x02"):
                        received = received[2:]
                        raw = False
                    elif b"\x04" in received:
                        code, _, received = received.partition(b"\x04")
                        if raw:
                            os.write(self._fd, b"OK" + self._run(code.decode()) + b">")
                        else:
                            self.restarts += 1
                            self._restarted.set()
                    else:
                        break
        except OSError:  # closed
            pass

    def _run(self, code):
        self.ran.append(code)
        if self.leaves_at and self.leaves_at in code:
            with open(os.devnull, "rb") as nothing:
                os.dup2(nothing.fileno(), self._fd)
            raise OSError("unplugged")
        if self.fails_at and self.fails_at in code:
            return b"\x04Traceback (most recent call last):\r\nOSError: [Errno 28] ENOSPC\r\n\x04"
        return re.sub(b"(?<!\r)\n", b"\r\n", self._execute(code))  # line ends as in a board's terminal

    def _execute(self, code):
        text = code.encode()
        self._interpreter.stdin.write(b"%d\n" % len(text) + text)
        self._interpreter.stdin.flush()
        output = b""
        while output.count(b"\x04") < 2:
            more = self._interpreter.stdout.read1(4096)
            if not more:
                raise OSError("the interpreter has ended")
            output += more
        return output

    def write(self, name, text):
        """Put a file onto the board's filesystem. Do not call this while mpremote is connected."""
        self._execute(f"with open({name!r}, 'w') as file: file.write({text!r})")

    def files(self):
        """Return {name: text} of the board's filesystem. Do not call this while mpremote is connected."""
        output = self._execute("import os\nprint({name: open(name).read() for name in os.listdir('/')})")
        return ast.literal_eval(output.partition(b"\x04")[0].decode())

    def wait_for_restart(self, seconds):
        """Wait for a request to restart the board's program. Return whether there was one."""
        return self._restarted.wait(seconds)

    def close(self):
        self._interpreter.kill()
        os.close(self._inner)
        self._server.join(PATIENCE_S)  # otherwise it would read from the next user of the descriptor
        assert not self._server.is_alive()
        self._interpreter.communicate()
        os.close(self._fd)
