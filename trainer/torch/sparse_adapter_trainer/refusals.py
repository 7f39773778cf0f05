"""Errors of calls, as in trainer.proto: each is a google.rpc.Status with details."""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeAlias, TypeVar

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from sparse_adapter_engine.files.room import describe_full, is_full

from .validation import Violation, bad_request

RETRY_SECONDS = 5

Context: TypeAlias = grpc.aio.ServicerContext
_log = logging.getLogger(__name__)


class Refusal(Exception):
    """Ends a call with this code and message."""

    def __init__(self, code: grpc.StatusCode, message: str, *details: Message) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


def invalid(violations: list[Violation]) -> Refusal:
    """INVALID_ARGUMENT for these fields."""
    return fields_refusal(grpc.StatusCode.INVALID_ARGUMENT, violations)


def fields_refusal(code: grpc.StatusCode, violations: list[Violation]) -> Refusal:
    """A BadRequest; the message has the first violation, for clients that do not decode details."""
    more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    message = f"{violations[0].field}: {violations[0].description}{more}"
    return Refusal(code, message, bad_request(violations))


def full_disk(message: str) -> Refusal:
    """The disk is full; the message describes it."""
    return Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, message, retry_info())


def stopping() -> Refusal:
    """The trainer accepts no more work."""
    return Refusal(grpc.StatusCode.UNAVAILABLE, "the trainer is being stopped")


def retry_info() -> error_details_pb2.RetryInfo:
    """When to try again."""
    return error_details_pb2.RetryInfo(retry_delay=Duration(seconds=RETRY_SECONDS))


async def refuse(
    context: Context, code: grpc.StatusCode, message: str, *details: Message
) -> NoReturn:
    """Ends the call with a google.rpc.Status."""
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        status.details.add().Pack(detail)
    await context.abort(code, message, (("grpc-status-details-bin", status.SerializeToString()),))
    raise AssertionError("abort does not return")


async def refuse_fields(
    context: Context, code: grpc.StatusCode, violations: list[Violation]
) -> NoReturn:
    """Ends the call with a BadRequest."""
    refusal = fields_refusal(code, violations)
    await refuse(context, refusal.code, refusal.message, *refusal.details)


class Unreadable:
    """Replaces a request whose bytes could not be read. gRPC alone would report UNKNOWN, as if the
    trainer were at fault."""

    def __init__(self, error: DecodeError) -> None:
        self.refusal = Refusal(
            grpc.StatusCode.INVALID_ARGUMENT, f"the request cannot be read: {error}"
        )


class ReadableRequests(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Lets an unreadable request reach its method, which refuses it."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """The method's handler."""
        handler = await continuation(details)
        if handler is None or not details.method.startswith("/sparse_adapter."):
            return handler
        read = handler.request_deserializer

        def read_or_keep(data: bytes) -> Any:
            try:
                return read(data)
            except DecodeError as error:
                return Unreadable(error)

        return handler._replace(request_deserializer=read_or_keep)


class Servicer(Protocol):
    """What implements a service."""

    @property
    def folder(self) -> Path:
        """Where its calls write."""


Method = TypeVar("Method", bound=Callable[..., Awaitable[Any]])


def faults_are_internal(method: Method) -> Method:
    """Ends a call with the Refusal that was raised, and turns a fault of the trainer into INTERNAL
    with a message; the trace is only in the trainer's log."""

    @functools.wraps(method)
    async def wrapped(self: Servicer, request: Any, context: Context) -> Any:
        try:
            if isinstance(request, Unreadable):
                raise request.refusal
            return await method(self, request, context)
        except (grpc.aio.AbortError, asyncio.CancelledError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and is_full(error):
                error = full_disk(describe_full(error, self.folder))
            if isinstance(error, Refusal):
                await refuse(context, error.code, error.message, *error.details)
            _log.exception("%s failed", method.__name__)
            await refuse(
                context,
                grpc.StatusCode.INTERNAL,
                f"a fault in the trainer (see its log): {type(error).__name__}: {error}",
            )

    return wrapped  # type: ignore[return-value]
