"""Network namespaces without names: each lives as long as its descriptor and its processes.

The namespace of a thread is its own, so everything here happens in the main thread, between
two of trio's switches: nobody else ever sees the main thread outside its own namespace.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from scripts.program import Command, ScriptError

CLONE_NEWNET: Final = 0x40000000
TUNSETIFF: Final = 0x400454CA
IFF_TUN: Final = 0x0001
IFF_NO_PI: Final = 0x1000
TUN: Final = "/dev/net/tun"
OWN: Final = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        raise ScriptError(f"{what}: {os.strerror(ctypes.get_errno())}")


class Space:
    """A network namespace. Make one with `Space.new`, close it at the end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def new(cls) -> Space:
        """An empty namespace, its loopback up.

        Raises:
            ScriptError: this process may not make one.
        """
        home = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_libc.unshare(CLONE_NEWNET), "cannot make a network namespace")
            made = cls(os.open(OWN, os.O_RDONLY | os.O_CLOEXEC))
            _check(_libc.setns(home, CLONE_NEWNET), "cannot return from a network namespace")
        finally:
            os.close(home)
        made.ip("link set lo up")
        return made

    def close(self) -> None:
        """Lets go of it."""
        os.close(self._descriptor)

    @property
    def path(self) -> str:
        """A path that other processes can name it by."""
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"

    @property
    def prefix(self) -> Command:
        """What, before a command, runs it inside."""
        return ["nsenter", f"--net={self.path}", "--"]

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The main thread is inside for as long as the block takes, which must not await."""
        home = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
        _check(_libc.setns(self._descriptor, CLONE_NEWNET), "cannot enter a network namespace")
        try:
            yield
        finally:
            _check(_libc.setns(home, CLONE_NEWNET), "cannot return from a network namespace")
            os.close(home)

    def ip(self, *commands: str) -> None:
        """Runs commands of ip (iproute2) inside."""
        with self.inside():
            ip(*commands)

    def tun(self, name: str, file: str = TUN) -> int:
        """A TUN device inside; its descriptor, which gives and takes whole IP packets.

        Args:
            name: of the device.
            file: what gives TUN devices.

        Raises:
            ScriptError: /dev/net/tun is missing or may not be opened.
        """
        try:
            with self.inside():  # where it is opened is where the device will be
                device = os.open(file, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise ScriptError(
                f"{file} cannot be opened ({error.strerror}): run as root, or let an "
                f"administrator load the module tun and make the file readable and writable"
            ) from error
        request = struct.pack("16sH22x", name.encode("ascii"), IFF_TUN | IFF_NO_PI)
        fcntl.ioctl(device, TUNSETIFF, request)
        return device


def ip(*commands: str) -> None:
    """Runs commands of ip (iproute2) in this thread's namespace.

    Raises:
        ScriptError: ip is not installed, or one of them failed.
    """
    try:
        done = subprocess.run(
            ["ip", "-batch", "-"],
            input="".join(f"{command}\n" for command in commands),
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise ScriptError("ip is not installed. Debian: apt-get install iproute2") from error
    if done.returncode:
        raise ScriptError(f"ip {'; '.join(commands)}: {done.stderr.strip()}")
