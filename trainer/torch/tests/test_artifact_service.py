"""Uploads and digests behind ArtifactService; what a client sees is in test/conformance."""

import asyncio
import hashlib
import json
import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from sparse_adapter.trainer.v1 import event_pb2

from sparse_adapter_trainer.artifacts import service
from sparse_adapter_trainer.artifacts.digests import Digests
from sparse_adapter_trainer.artifacts.names import is_file_name
from sparse_adapter_trainer.artifacts.uploads import Uploads
from sparse_adapter_trainer.refusals import Refusal

CONTENT = b"0123456789"


def artifact(content: bytes = CONTENT, name: str = "datasets/d/train.json") -> event_pb2.Artifact:
    digest = hashlib.sha256(content).hexdigest()
    return event_pb2.Artifact(name=name, digest=digest, size=len(content))


def refused(error: pytest.ExceptionInfo[Refusal]) -> tuple[str, str]:
    return error.value.code.name, error.value.message


def test_an_upload_holds_its_file_and_is_continued_by_the_next_one(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    first = uploads.begin(artifact(), 0)
    first.write(CONTENT[:4])
    with pytest.raises(Refusal) as busy:
        Uploads(tmp_path).begin(artifact(), 0)
    assert refused(busy)[0] == "ABORTED"
    first.close()
    second = Uploads(tmp_path).begin(artifact(), 4)
    second.write(CONTENT[4:])
    second.finish()
    second.close()
    assert (tmp_path / "datasets/d/train.json").read_bytes() == CONTENT
    assert list((tmp_path / ".uploads").iterdir()) == []


@pytest.mark.parametrize("silent, taken", [(False, False), (True, True)])
def test_an_upload_to_another_host_counts_until_it_was_silent(
    silent: bool, taken: bool, tmp_path: Path
) -> None:
    uploads = Uploads(tmp_path)
    upload = uploads.begin(artifact(), 0)
    upload.write(CONTENT[:4])
    lock, part = upload._lock, upload._part
    upload.close()
    lock.write_text(json.dumps({"pid": 1, "started": "x", "host": "elsewhere"}))
    if silent:
        long_ago = time.time() - 700
        os.utime(part, (long_ago, long_ago))
    if taken:
        uploads.begin(artifact(), 4).close()
        return
    with pytest.raises(Refusal) as busy:
        uploads.begin(artifact(), 4)
    assert "on host elsewhere" in refused(busy)[1]


def test_what_was_not_continued_for_a_day_is_removed(tmp_path: Path) -> None:
    upload = Uploads(tmp_path).begin(artifact(), 0)
    upload.write(CONTENT[:4])
    upload.close()
    assert Uploads(tmp_path).transferred(artifact()) == 4
    long_ago = time.time() - 90_000
    os.utime(upload._part, (long_ago, long_ago))
    assert Uploads(tmp_path).transferred(artifact()) == 0


def test_a_digest_is_made_once_as_long_as_the_file_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, digests = tmp_path / "file", Digests()
    path.write_bytes(CONTENT)
    digests.of_path(path)
    # Another change in the same step of the file system's clock would not be seen.
    assert not digests._known
    later = time.time_ns() + 10_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: later)
    assert digests.of_path(path) == (artifact().digest, len(CONTENT))
    digests._known = type(digests._known)((stamp, "known") for stamp in digests._known)
    assert digests.of_path(path) == ("known", len(CONTENT))
    # Same size, and the same time as far as anybody can set it. Until the clock's next step, the
    # time of the change is the same, too.
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        path.write_bytes(CONTENT[::-1])
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digests.of_path(path) == (artifact(CONTENT[::-1]).digest, len(CONTENT))


def test_an_upload_that_sends_nothing_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "SILENCE_SECONDS", 0.01)

    async def never() -> Any:
        await asyncio.sleep(60)

    servicer = service.ArtifactServicer(tmp_path)
    with pytest.raises(Refusal) as silent:
        asyncio.run(servicer._next(SimpleNamespace(read=never)))  # type: ignore[arg-type]
    assert silent.value.code == grpc.StatusCode.ABORTED


def test_a_client_that_leaves_while_its_upload_opens_leaves_the_file_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening, left, begin = threading.Event(), threading.Event(), Uploads.begin

    def begin_late(*arguments: Any) -> Any:
        opening.set()
        assert left.wait(10)
        return begin(*arguments)

    async def leave() -> None:
        monkeypatch.setattr(Uploads, "begin", begin_late)
        call = asyncio.ensure_future(service.ArtifactServicer(tmp_path)._begin(artifact(), 0))
        assert await asyncio.to_thread(opening.wait, 10)
        call.cancel()
        await asyncio.sleep(0)
        left.set()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(leave())
    monkeypatch.undo()
    Uploads(tmp_path).begin(artifact(), 0).close()


@pytest.mark.parametrize("vanishings, is_described", [(2, True), (3, False)])
def test_a_folder_is_listed_again_if_a_part_of_it_vanishes(
    vanishings: int, is_described: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "datasets/d").mkdir(parents=True)
    (tmp_path / artifact().name).write_bytes(CONTENT)
    left, scandir = [None] * vanishings, os.scandir

    def scan(path: Any) -> Any:
        if left:
            left.pop()
            raise FileNotFoundError(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)
    servicer = service.ArtifactServicer(tmp_path)
    if is_described:
        described = servicer._describe("datasets/d", tmp_path / "datasets/d")
        assert described is not None
        assert list(described.files) == [artifact()]
        return
    with pytest.raises(Refusal) as vanished:
        servicer._describe("datasets/d", tmp_path / "datasets/d")
    assert refused(vanished)[0] == "ABORTED"


@pytest.mark.parametrize("name", ["datasets/d/train.json\n", "trials/t/checkpoints/step-٣/a.json"])
def test_a_name_ends_where_it_ends_and_has_ascii_digits(name: str) -> None:
    assert not is_file_name(name)
