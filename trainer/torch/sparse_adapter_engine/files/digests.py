"""Digests of files and folders, by the rule of Artifact in event.proto."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from sparse_adapter.trainer.v1 import event_pb2


def describe(root: Path, path: Path) -> event_pb2.Artifact:
    """Name, digest and size of a file or folder, by the rule of Artifact in event.proto."""
    name = path.relative_to(root).as_posix()
    if path.is_file():
        return event_pb2.Artifact(name=name, digest=file_digest(path), size=path.stat().st_size)
    files = [file for file in path.rglob("*") if file.is_file()]
    digest = folder_digest({file.relative_to(path).as_posix(): file_digest(file) for file in files})
    return event_pb2.Artifact(
        name=name, digest=digest, size=sum(file.stat().st_size for file in files)
    )


def folder_digest(digests: Mapping[str, str]) -> str:
    """digests: of the folder's files, by relative name."""
    lines = sorted(f"{digest}  {file}\n" for file, digest in digests.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
