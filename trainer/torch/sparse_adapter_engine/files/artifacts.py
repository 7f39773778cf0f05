"""Files under the artifact root: safe names, digests, and writes that are whole or not there at
all."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from sparse_adapter.trainer.v1 import event_pb2

from sparse_adapter_engine.errors import bad_artifact

from .durable import sync_folder, write_durably

Tensors = dict[str, torch.Tensor]


def resolve(root: Path, name: str) -> Path:
    """The path of an artifact's name.

    Raises JobFailed (BAD_ARTIFACT) if it is absolute, has `..` or leaves the root through a link.
    """
    parts = name.split("/")
    if (
        not name
        or name.startswith("/")
        or "\\" in name
        or "\0" in name
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise bad_artifact(
            f"artifact name {name!r} is not a relative name with '/' between its parts"
        )
    path = root.joinpath(*parts)
    if not path.resolve().is_relative_to(root.resolve()):
        raise bad_artifact(f"artifact {name!r} leaves the artifact root {root}")
    return path


def describe(root: Path, path: Path) -> event_pb2.Artifact:
    """Name, digest and size of a file or folder, by the rule of Artifact in event.proto."""
    name = path.relative_to(root).as_posix()
    if path.is_file():
        return event_pb2.Artifact(name=name, digest=_file_digest(path), size=path.stat().st_size)
    files = [file for file in path.rglob("*") if file.is_file()]
    digest = _folder_digest(
        {file.relative_to(path).as_posix(): _file_digest(file) for file in files}
    )
    return event_pb2.Artifact(
        name=name, digest=digest, size=sum(file.stat().st_size for file in files)
    )


def _folder_digest(digests: Mapping[str, str]) -> str:
    """digests: of the folder's files, by relative name."""
    lines = sorted(f"{digest}  {file}\n" for file, digest in digests.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_tensors(path: Path, tensors: Tensors, metadata: dict[str, str] | None = None) -> None:
    """Writes a safetensors file.

    Metadata has at most one key: the library does not keep the order of several, and digests depend
    on it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_durably(
        path,
        save(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, metadata
        ),
    )


def write_folder(path: Path, files: Mapping[str, bytes]) -> str:
    """Writes a folder of files, which appears under its name whole and replaces an earlier one.

    Returns its digest, made from what was written: reading gigabytes back takes long.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    making.mkdir()
    try:
        for name, data in files.items():
            write_durably(making / name, data)
        remove_folder(path)
        os.rename(making, path)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    sync_folder(path.parent)
    return _folder_digest({name: hashlib.sha256(data).hexdigest() for name, data in files.items()})


def remove_folder(path: Path) -> None:
    """Removes a folder: first its name, then its files, so that nobody finds half of it under the
    name."""
    if path.exists():
        leaving = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        os.rename(path, leaving)
        shutil.rmtree(leaving)


def remove_leftovers(folder: Path) -> None:
    """Removes what interrupted writes left behind in a folder."""
    for path in folder.glob(".*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def read_tensors(path: Path) -> Tensors:
    """All tensors of a safetensors file.

    Raises JobFailed (BAD_ARTIFACT) if it is missing or broken.
    """
    try:
        return dict(load(path.read_bytes()))
    except FileNotFoundError:
        raise bad_artifact(f"{path} is missing") from None
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise bad_artifact(f"{path} cannot be read as safetensors: {error}") from None


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; empty if the file has none, is missing or is broken."""
    try:
        with safe_open(str(path), "pt") as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError):
        return {}
