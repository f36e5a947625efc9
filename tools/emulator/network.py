"""The computer's side of a board's network: a TUN interface. For tests it is in a network namespace of its own.

Both need the rights of root or of a user namespace. The text of `NoRights` says what is missing and what to do.
"""

import ctypes
import errno
import fcntl
import os
import socket
import struct

TUN_DEVICE = "/dev/net/tun"
TUNSETIFF, TUNSETPERSIST = 0x400454CA, 0x400454CB
IFF_TUN, IFF_TAP, IFF_NO_PI, IFF_UP = 0x0001, 0x0002, 0x1000, 0x0001
SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFDSTADDR, SIOCSIFNETMASK, SIOCSIFMTU = 0x8914, 0x8916, 0x8918, 0x891C, 0x8922
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


class NoRights(Exception):
    """A network for the board cannot be made; the text says why, and what to do."""


def enter_private_namespace():
    """Move this process into a network namespace of its own, with nothing but a loopback interface.

    Call this before other threads exist. Without root's rights it makes a user namespace, in which this process is
    root.
    """
    user, group = os.geteuid(), os.getegid()
    _unshare(CLONE_NEWNET if user == 0 else CLONE_NEWUSER | CLONE_NEWNET)
    if user != 0:
        _write("/proc/self/uid_map", f"0 {user} 1")
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/gid_map", f"0 {group} 1")
    _configure("lo", (SIOCSIFFLAGS, struct.pack("h", IFF_UP)))


def _unshare(flags):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags) != 0:
        error = ctypes.get_errno()
        raise NoRights(
            f"A network namespace cannot be made here ({os.strerror(error)}). Run this as root, or allow "
            "user namespaces: sysctl kernel.unprivileged_userns_clone=1"
        )


def _write(path, text):
    with open(path, "w") as file:
        file.write(text)


def _configure(interface, *settings):
    """Set an interface's properties, each as (ioctl, the part of the structure after the interface's name)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for request, value in settings:
            fcntl.ioctl(control, request, struct.pack("16s24s", interface.encode(), value))


def _address(text):
    return struct.pack("=HH4s", socket.AF_INET, 0, socket.inet_aton(text))


def enable_forwarding():
    """Let boards reach each other through this namespace."""
    _write("/proc/sys/net/ipv4/ip_forward", "1")


class Tun:
    """An interface whose packets this program receives instead of a cable."""

    def __init__(self, name, local, remote, mtu=1500):
        self.fd = _open_interface(
            name,
            IFF_TUN,
            (SIOCSIFADDR, _address(local)),
            (SIOCSIFDSTADDR, _address(remote)),
            (SIOCSIFNETMASK, _address("255.255.255.255")),
            (SIOCSIFMTU, struct.pack("i", mtu)),
        )

    def read(self):
        """Return the next IPv4 packet that the computer sends, or None."""
        try:
            packet = os.read(self.fd, 65536)
        except BlockingIOError:
            return None
        return packet if packet[0] >> 4 == 4 else b""

    def write(self, packet):
        """Give the computer a packet. If the computer does not take it, the packet is lost, as on any network."""
        try:
            os.write(self.fd, packet)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EAGAIN, errno.EIO):
                raise

    def close(self):
        os.close(self.fd)


def add_tap(name, address, netmask):
    """Add an Ethernet interface to this namespace, for another process that opens it as a TAP."""
    fd = _open_interface(name, IFF_TAP, (SIOCSIFADDR, _address(address)), (SIOCSIFNETMASK, _address(netmask)))
    fcntl.ioctl(fd, TUNSETPERSIST, 1)
    os.close(fd)


class Tap:
    """An Ethernet interface of this computer in a virtual network (lan.py)."""

    def __init__(self, name, address, netmask):
        self.fd = _open_interface(
            name, IFF_TAP, (SIOCSIFADDR, _address(address)), (SIOCSIFNETMASK, _address(netmask))
        )

    def start(self, lan):
        self._lan = lan
        lan.loop.watch(self.fd, self._read)

    def _read(self):
        try:
            self._lan.receive(os.read(self.fd, 65536), None)
        except BlockingIOError:
            pass

    def send(self, frame, _port):
        """Give the computer a frame. If the computer does not take it, the frame is lost, as on any network."""
        try:
            os.write(self.fd, frame)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EAGAIN, errno.EIO):
                raise

    def close(self):
        self._lan.loop.forget(self.fd)
        os.close(self.fd)


def _open_interface(name, kind, *settings):
    """Make an interface with these settings, switch it on, and return its file descriptor."""
    try:
        fd = os.open(TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        raise NoRights(_tun_advice(error)) from error
    try:
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", name.encode(), kind | IFF_NO_PI))
        _configure(name, *settings, (SIOCSIFFLAGS, struct.pack("h", IFF_UP)))
    except OSError as error:
        os.close(fd)
        raise NoRights(_tun_advice(error)) from error
    return fd


def _tun_advice(error):
    if error.errno == errno.ENOENT:
        return f"There is no {TUN_DEVICE} here: load the kernel's module (modprobe tun), or give it to the container."
    return (
        f"A TUN interface cannot be made here ({error.strerror}): run this as root, or in a container with "
        f"--cap-add NET_ADMIN --device {TUN_DEVICE}."
    )
