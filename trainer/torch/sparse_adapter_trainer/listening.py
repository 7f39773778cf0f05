"""Where a trainer listens, and the locks that keep a second one away."""

import fcntl
import json
import os
import socket
import stat
from pathlib import Path
from typing import NoReturn

import grpc

from .process_identity import identify, is_alive

# On Linux sun_path has 108 bytes including its final zero.
LONGEST_SOCKET_PATH = 107


class CannotListen(Exception):
    """The address or the state folder is not usable; the message says why and what would be
    right."""


class Lock:
    """An exclusive lock on a file, released when this process ends in any way.

    The file names its holder in the format of `common/lock-file.ts`, so that it also keeps another
    framework's trainer away from the same folder.
    """

    def __init__(self, path: Path, purpose: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._refuse(purpose)
        if is_alive(self._holder()):
            self._refuse(purpose)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps(identify(os.getpid())).encode(), 0)

    def _holder(self) -> dict[str, object]:
        """The holder that the file names; empty if it names none."""
        try:
            found = json.loads(os.pread(self._fd, 4096, 0))
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    def _refuse(self, purpose: str) -> NoReturn:
        holder = self._holder().get("pid", "unknown")
        os.close(self._fd)
        raise CannotListen(f"another trainer (pid {holder}) already uses {purpose}")


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

    def lock(self) -> Lock | None:
        """Locks a socket's path. A port needs no lock: the kernel gives it to one process only."""
        if self.socket_path is None:
            return None
        return Lock(
            self.socket_path.with_name(self.socket_path.name + ".lock"), str(self.socket_path)
        )

    def bind(self, server: grpc.aio.Server, credentials: grpc.ServerCredentials | None) -> str:
        """Binds the server and returns the address with its actual port. Removes a socket that a
        killed trainer left behind; its lock must be held."""
        if self.socket_path is not None:
            self._remove_stale_socket(self.socket_path)
        try:
            port = (
                server.add_secure_port(self.text, credentials)
                if credentials
                else server.add_insecure_port(self.text)
            )
        except RuntimeError as error:
            raise CannotListen(
                f"{self.text}: cannot listen here; is the address in use? ({error})"
            ) from error
        if self.socket_path is not None:
            # For the owner only, because a client can make the trainer read and write files.
            os.chmod(self.socket_path, 0o600)
            return self.text
        return f"{self.text.rpartition(':')[0]}:{port}"

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
