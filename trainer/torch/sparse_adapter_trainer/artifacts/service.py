"""ArtifactService on grpc.aio. Disks and digests are waited for in threads, one message of a call
at a time, so a call holds a few chunks at most and the event loop stays free for the others."""

import asyncio
from collections.abc import AsyncIterator, Callable
from io import BufferedReader
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import grpc
from sparse_adapter.trainer.v1 import artifacts_pb2, artifacts_pb2_grpc, event_pb2

from sparse_adapter_engine.files.digests import folder_digest
from sparse_adapter_trainer.refusals import (
    Context,
    Refusal,
    Unreadable,
    faults_are_internal,
    invalid,
    stopping,
)
from sparse_adapter_trainer.validation.violations import Violation

from . import uploads
from .digests import Digests, changed, open_file
from .names import (
    MOST_NAMES,
    check_download,
    check_file,
    check_file_or_folder,
    is_file_name,
    locate,
    require,
)
from .uploads import NAME_FIELD, Uploads

SERVICE = artifacts_pb2.DESCRIPTOR.services_by_name["ArtifactService"].full_name
CHUNK_BYTES = 1 << 20
# A client that went away without a word must not keep others from the file for long.
SILENCE_SECONDS = 60.0
# How often a folder is listed if parts of it vanish meanwhile, as a running job's do.
LISTINGS = 3

P = ParamSpec("P")
T = TypeVar("T")


class ArtifactServicer(artifacts_pb2_grpc.ArtifactServiceServicer):
    """The service, on an artifact root."""

    def __init__(self, root: Path) -> None:
        self.folder = root
        self._uploads = Uploads(root)
        self._digests = Digests()
        self._stopping = False
        # Bytes of files that this process has moved, for whoever asks.
        self.received = 0
        self.sent = 0

    def stop(self) -> None:
        """Ends transfers with UNAVAILABLE and accepts no more."""
        self._stopping = True

    @faults_are_internal
    async def FindMissing(
        self, request: artifacts_pb2.FindMissingRequest, context: Context
    ) -> artifacts_pb2.FindMissingResponse:
        _require_few("artifacts", len(request.artifacts))
        require(
            found
            for index, artifact in enumerate(request.artifacts)
            for found in check_file(f"artifacts[{index}]", artifact)
        )
        missing = []
        for index, artifact in enumerate(request.artifacts):
            path = locate(self.folder, f"artifacts[{index}].name", artifact.name)
            if not await _in_thread(self._has, path, artifact):
                offset = self._uploads.transferred(artifact)
                missing.append(artifacts_pb2.MissingArtifact(artifact=artifact, offset=offset))
        return artifacts_pb2.FindMissingResponse(missing=missing)

    @faults_are_internal
    async def DescribeArtifacts(
        self, request: artifacts_pb2.DescribeArtifactsRequest, context: Context
    ) -> artifacts_pb2.DescribeArtifactsResponse:
        _require_few("names", len(request.names))
        require(
            found
            for index, name in enumerate(request.names)
            for found in check_file_or_folder(f"names[{index}]", name)
        )
        described = []
        for index, name in enumerate(request.names):
            path = locate(self.folder, f"names[{index}]", name)
            found = await _in_thread(self._describe, name, path)
            if found is not None:
                described.append(found)
        return artifacts_pb2.DescribeArtifactsResponse(artifacts=described)

    @faults_are_internal
    async def Upload(
        self, requests: AsyncIterator[artifacts_pb2.UploadRequest], context: Context
    ) -> artifacts_pb2.UploadResponse:
        header = _read_header(await self._next(context))
        artifact = header.artifact
        path = locate(self.folder, NAME_FIELD, artifact.name)
        if await _in_thread(self._has, path, artifact):
            return artifacts_pb2.UploadResponse(artifact=artifact)
        upload = await self._begin(artifact, header.offset)
        try:
            while (request := await self._next(context)) is not None:
                chunk = _read_chunk(request)
                await _in_thread(upload.write, chunk)
                self.received += len(chunk)
            await _in_thread(upload.finish)
        finally:
            upload.close()
        return artifacts_pb2.UploadResponse(artifact=artifact)

    async def _begin(self, artifact: event_pb2.Artifact, offset: int) -> uploads.Upload:
        """Opens an upload, and closes it again if its client has left meanwhile, because it holds
        the file's lock."""
        opening = asyncio.ensure_future(asyncio.to_thread(self._uploads.begin, artifact, offset))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            # Closes it even if this wait is cancelled, too.
            opening.add_done_callback(_close_opened)
            await asyncio.wait([opening])
            raise

    @faults_are_internal
    async def Download(self, request: artifacts_pb2.DownloadRequest, context: Context) -> None:
        require(check_download(request.name, request.offset, request.digest))
        path = locate(self.folder, "name", request.name)
        file = await _in_thread(open_file, path)
        if file is None:
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"there is no {request.name}")
        with file:
            digest, size = await _in_thread(self._digests.of, file)
            _check_content(request, digest, size)
            artifact = event_pb2.Artifact(name=request.name, digest=digest, size=size)
            await context.write(artifacts_pb2.DownloadResponse(artifact=artifact))
            await self._send(file, request.name, request.offset, size, context)

    async def _send(
        self, file: BufferedReader, name: str, offset: int, size: int, context: Context
    ) -> None:
        file.seek(offset)
        while offset < size:
            if self._stopping:
                raise stopping()
            chunk = await _in_thread(file.read, min(CHUNK_BYTES, size - offset))
            if not chunk:
                raise changed(name)
            await context.write(artifacts_pb2.DownloadResponse(chunk=chunk))
            offset += len(chunk)
            self.sent += len(chunk)

    async def _next(self, context: Context) -> artifacts_pb2.UploadRequest | None:
        """The upload's next message, or None at its end."""
        if self._stopping:
            raise stopping()
        try:
            message = await asyncio.wait_for(context.read(), SILENCE_SECONDS)
        except TimeoutError:
            raise Refusal(
                grpc.StatusCode.ABORTED,
                f"nothing came for {SILENCE_SECONDS:.0f} s; what has arrived is kept",
            ) from None
        if isinstance(message, Unreadable):
            raise message.refusal
        return None if message is grpc.aio.EOF else message

    def _has(self, path: Path, artifact: event_pb2.Artifact) -> bool:
        """Whether the file is here, with this content."""
        try:
            if path.stat().st_size != artifact.size:
                return False
        except (FileNotFoundError, NotADirectoryError):
            return False
        found = self._digests.of_path(path)
        return found is not None and found[0] == artifact.digest

    def _describe(self, name: str, path: Path) -> artifacts_pb2.DescribedArtifact | None:
        """A file, or a folder with its files; None if there is none."""
        if is_file_name(name):
            file = self._describe_file(name)
            return artifacts_pb2.DescribedArtifact(artifact=file) if file else None
        for _ in range(LISTINGS):
            try:
                return self._describe_folder(name, path)
            except (FileNotFoundError, NotADirectoryError):
                continue
        raise changed(name)

    def _describe_folder(self, name: str, path: Path) -> artifacts_pb2.DescribedArtifact | None:
        names = [f"{name}/{each.relative_to(path).as_posix()}" for each in path.rglob("*")]
        described = [self._describe_file(each) for each in sorted(names) if is_file_name(each)]
        files = [file for file in described if file is not None]
        if not files:
            return None
        digest = folder_digest({file.name.removeprefix(f"{name}/"): file.digest for file in files})
        folder = event_pb2.Artifact(name=name, digest=digest, size=sum(f.size for f in files))
        return artifacts_pb2.DescribedArtifact(artifact=folder, files=files)

    def _describe_file(self, name: str) -> event_pb2.Artifact | None:
        found = self._digests.of_path(locate(self.folder, "names", name))
        if found is None:
            return None
        return event_pb2.Artifact(name=name, digest=found[0], size=found[1])


async def _in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs `work` in a thread and ends only with it, even if the call is cancelled meanwhile."""
    task: asyncio.Task[Any] = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _close_opened(opening: asyncio.Future[uploads.Upload]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _require_few(field: str, count: int) -> None:
    if count > MOST_NAMES:
        description = f"has {count} entries; a call takes at most {MOST_NAMES}"
        raise invalid([Violation(field=field, description=description)])


def _read_header(message: artifacts_pb2.UploadRequest | None) -> artifacts_pb2.UploadHeader:
    if message is None or not message.HasField("header"):
        description = "is missing; the first message of an upload says which file it is"
        raise invalid([Violation(field="header", description=description)])
    header = message.header
    require(check_file("header.artifact", header.artifact))
    if header.offset > header.artifact.size:
        description = f"{header.offset} is past the file's {header.artifact.size} bytes"
        raise invalid([Violation(field="header.offset", description=description)])
    return header


def _read_chunk(message: artifacts_pb2.UploadRequest) -> bytes:
    if not message.HasField("chunk"):
        description = "is missing; only the first message of an upload has a header"
        raise invalid([Violation(field="chunk", description=description)])
    if len(message.chunk) > CHUNK_BYTES:
        description = f"has {len(message.chunk)} bytes; at most {CHUNK_BYTES} are allowed"
        raise invalid([Violation(field="chunk", description=description)])
    return message.chunk


def _check_content(request: artifacts_pb2.DownloadRequest, digest: str, size: int) -> None:
    if request.digest not in ("", digest):
        raise Refusal(
            grpc.StatusCode.ABORTED,
            f"{request.name} has digest {digest} now, not {request.digest}; fetch it from 0",
        )
    if request.offset > size:
        raise Refusal(
            grpc.StatusCode.OUT_OF_RANGE,
            f"offset: {request.offset} is past the {size} bytes of {request.name}",
        )
