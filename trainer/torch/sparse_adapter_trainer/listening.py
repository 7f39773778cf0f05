"""Where a trainer listens, and the locks that keep a second one away."""

import os
import socket
import stat
import time
from argparse import ArgumentTypeError
from pathlib import Path

import grpc

from sparse_adapter_engine.files.lock_file import describe_holder, try_lock, way_out
from sparse_adapter_engine.files.process_identity import is_elsewhere

# On Linux sun_path has 108 bytes including its final zero.
LONGEST_SOCKET_PATH = 107
LAST_PORT = 65_535


class CannotListen(Exception):
    """The address or the state folder is not usable; the message says why and what would be
    right."""


# A trainer that was killed may take a moment to die: its memory is taken down first.
_DYING_SECONDS = 3.0
_PAUSE_SECONDS = 0.1


def lock_or_refuse(path: Path, purpose: str) -> None:
    """Locks a file until this process ends, however it ends. Waits a moment for a holder's death.

    Raises CannotListen if another process, of any framework, has the lock.
    """
    deadline = time.monotonic() + _DYING_SECONDS
    while (holder := try_lock(path)) is not None:
        if is_elsewhere(holder) or time.monotonic() > deadline:
            break
        time.sleep(_PAUSE_SECONDS)
    else:
        return
    help = f"; {way_out(path, holder)}" if is_elsewhere(holder) else ""
    who = describe_holder(path, holder)
    raise CannotListen(f"another trainer ({who}) already uses {purpose}{help}")


def parse_address(text: str) -> "Address":
    """An option's value."""
    try:
        return Address(text)
    except CannotListen as error:
        raise ArgumentTypeError(str(error)) from error


class Address:
    """`unix:/path.sock` or `host:port` (port 0: any free port)."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.socket_path: Path | None = None
        if text.startswith("unix:"):
            self.socket_path = Path(text.removeprefix("unix:"))
            if not self.socket_path.is_absolute():
                raise CannotListen(
                    f"{text}: the socket's path must be absolute, as in "
                    "unix:/run/user/1000/trainer.sock"
                )
            if len(os.fsencode(self.socket_path)) > LONGEST_SOCKET_PATH:
                raise CannotListen(
                    f"{text}: the socket's path is longer than {LONGEST_SOCKET_PATH} bytes; choose "
                    "a shorter one, for example in /tmp"
                )
        elif not text.rpartition(":")[2].isdigit() or not text.rpartition(":")[0]:
            raise CannotListen(f"{text!r} is neither unix:/path.sock nor host:port")
        elif int(text.rpartition(":")[2]) > LAST_PORT:
            raise CannotListen(f"{text}: the port must be at most {LAST_PORT}")

    def lock(self) -> None:
        """Locks a socket's path. A port needs no lock: the kernel gives it to one process only."""
        if self.socket_path is not None:
            path = self.socket_path.with_name(self.socket_path.name + ".lock")
            lock_or_refuse(path, str(self.socket_path))

    def bind(self, server: grpc.aio.Server, credentials: grpc.ServerCredentials | None) -> str:
        """Binds the server and returns the address with its actual port. Removes a socket that a
        killed trainer left behind; its lock must be held."""
        if self.socket_path is not None:
            self._remove_stale_socket(self.socket_path)
        else:
            self._refuse_unusable_port()
        try:
            port = (
                server.add_secure_port(self.text, credentials)
                if credentials
                else server.add_insecure_port(self.text)
            )
        except RuntimeError as error:
            raise CannotListen(f"{self.text}: cannot listen here: {error}") from error
        if self.socket_path is not None:
            # For the owner only, because a client can make the trainer read and write files.
            os.chmod(self.socket_path, 0o600)
            return self.text
        return f"{self.text.rpartition(':')[0]}:{port}"

    def _refuse_unusable_port(self) -> None:
        """Raises CannotListen in the system's own words. gRPC would write its own line to the log,
        and its error names no reason."""
        host, _, port = self.text.rpartition(":")
        try:
            found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        except OSError as error:
            raise CannotListen(f"{self.text}: cannot listen here: {error.strerror}") from error
        reasons = []
        for family, kind, protocol, _, address in found:
            try:
                with socket.socket(family, kind, protocol) as probe:
                    # As gRPC does: a port whose last connections are only just closed is free.
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(address)
            except OSError as error:
                reasons.append(error.strerror)
        if len(reasons) == len(found):
            raise CannotListen(f"{self.text}: cannot listen here: {reasons[0]}")

    @staticmethod
    def _remove_stale_socket(path: Path) -> None:
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise CannotListen(f"{path} exists and is not a socket; it is left alone")
        # An older server may use the path without a lock; if it answers, the socket is not stale.
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                raise CannotListen(f"{path}: another process listens there")
        path.unlink()
