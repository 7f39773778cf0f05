"""Tensors and folders under the artifact root: writes that are whole or not there at all."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save

from sparse_adapter_engine.errors import bad_artifact

from .digests import folder_digest
from .durable import sync_folder, write_durably
from .temporary_names import name_beside

Tensors = dict[str, torch.Tensor]


def write_tensors(path: Path, tensors: Tensors, metadata: dict[str, str] | None = None) -> None:
    """Writes a safetensors file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_durably(path, _insert_metadata(save(whole), metadata) if metadata else save(whole))


def _insert_metadata(file: bytes, metadata: dict[str, str]) -> bytes:
    """A safetensors file with metadata in the order of its keys: the library does not keep the
    order, and digests depend on it."""
    end = 8 + int.from_bytes(file[:8], "little")
    header = {"__metadata__": dict(sorted(metadata.items()))} | json.loads(file[8:end])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([len(text).to_bytes(8, "little"), text, memoryview(file)[end:]])


def write_folder(path: Path, files: Mapping[str, bytes]) -> str:
    """Writes a folder of files, which appears under its name whole and replaces an earlier one.

    Returns its digest, made from what was written: reading gigabytes back takes long.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    making = name_beside(path)
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
    return folder_digest({name: hashlib.sha256(data).hexdigest() for name, data in files.items()})


def remove_folder(path: Path) -> None:
    """Removes a folder: first its name, then its files, so that nobody finds half of it under the
    name."""
    if path.exists():
        leaving = name_beside(path)
        os.rename(path, leaving)
        shutil.rmtree(leaving)


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
