"""TrainerService on grpc.aio: each watcher is a coroutine, so even a hundred need no threads."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
from google.rpc import error_details_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from sparse_adapter.trainer.v1 import (
    artifacts_pb2_grpc,
    capabilities_pb2,
    event_pb2,
    trainer_pb2,
    trainer_pb2_grpc,
)

from .artifacts.service import SERVICE as ARTIFACT_SERVICE
from .artifacts.service import ArtifactServicer
from .event_log import EventLog
from .job import Job
from .jobs import ENDED, INTERRUPTED, DigestDiffers, JobStore, QueueFull, Stopping
from .refusals import (
    Context,
    ReadableRequests,
    faults_are_internal,
    refuse,
    refuse_fields,
    retry_info,
    stopping,
)
from .validation import (
    Violation,
    invalid_fields,
    invalid_identity,
    unmet_preconditions,
)

SERVICE = trainer_pb2.DESCRIPTOR.services_by_name["TrainerService"].full_name
OPTIONS = [
    # Otherwise a second server could bind the same port or socket, and both would report success.
    ("grpc.so_reuseport", 0),
    # The contract allows clients to ping every 3 s, even without calls. By default gRPC would close
    # the connection.
    ("grpc.http2.min_ping_interval_without_data_ms", 3000),
    ("grpc.keepalive_permit_without_calls", 1),
]
HEARTBEAT_SECONDS = 5.0
EVENTS_PER_READ = 256


class TrainerServicer(trainer_pb2_grpc.TrainerServiceServicer):
    """The service, on a store of jobs. All methods run on the event loop's thread."""

    @property
    def folder(self) -> Path:
        """Where jobs are written."""
        return self._store.folder

    def __init__(
        self,
        store: JobStore,
        capabilities: capabilities_pb2.Capabilities,
        root: Path,
        seconds_since_work: Callable[[], float],
        describe_now: Callable[[], capabilities_pb2.Capabilities],
    ) -> None:
        """describe_now: the capabilities, with what changes of them."""
        self._store = store
        self._capabilities = capabilities
        self._root = root
        self._seconds_since_work = seconds_since_work
        self._describe_now = describe_now
        self._stopping = False
        self._watchers: set[asyncio.Event] = set()

    def stop(self) -> None:
        """Ends all watchers with UNAVAILABLE and accepts no more."""
        self._stopping = True
        for changed in self._watchers:
            changed.set()

    @faults_are_internal
    async def GetCapabilities(
        self, request: trainer_pb2.GetCapabilitiesRequest, context: Context
    ) -> trainer_pb2.GetCapabilitiesResponse:
        return trainer_pb2.GetCapabilitiesResponse(capabilities=self._describe_now())

    @faults_are_internal
    async def SubmitJob(
        self, request: trainer_pb2.SubmitJobRequest, context: Context
    ) -> trainer_pb2.SubmitJobResponse:
        if violations := invalid_identity(request):
            await refuse_fields(context, grpc.StatusCode.INVALID_ARGUMENT, violations)
        # An existing job was checked when it was created, and if it has ended, what it needed may
        # be gone.
        if self._store.find(request.job_id) is None:
            if violations := invalid_fields(request):
                await refuse_fields(context, grpc.StatusCode.INVALID_ARGUMENT, violations)
            if violations := unmet_preconditions(request.spec, self._capabilities, self._root):
                await refuse_fields(context, grpc.StatusCode.FAILED_PRECONDITION, violations)
        try:
            job, created = self._store.submit(request.job_id, request.spec_digest, request.spec)
        except DigestDiffers as error:
            await refuse(
                context,
                grpc.StatusCode.ALREADY_EXISTS,
                f"job {request.job_id} exists with spec_digest {error}, not "
                f"{request.spec_digest}; another specification needs another id",
            )
        except QueueFull:
            waiting = f"{self._store.queue_length} jobs are waiting, and the queue is full"
            quota = error_details_pb2.QuotaFailure.Violation(
                subject="queue_length", description=waiting
            )
            await refuse(
                context,
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                waiting,
                error_details_pb2.QuotaFailure(violations=[quota]),
                retry_info(),
            )
        except Stopping:
            raise stopping() from None
        return trainer_pb2.SubmitJobResponse(job=job, created=created)

    @faults_are_internal
    async def GetJob(
        self, request: trainer_pb2.GetJobRequest, context: Context
    ) -> trainer_pb2.GetJobResponse:
        job = await self._find(request.job_id, context)
        return trainer_pb2.GetJobResponse(job=self._store.snapshot(job))

    @faults_are_internal
    async def ListJobs(
        self, request: trainer_pb2.ListJobsRequest, context: Context
    ) -> trainer_pb2.ListJobsResponse:
        jobs = self._store.newest_first(request.states)
        if request.page_token:
            # The token is the id of the last job sent. Its state may have changed, so its age gives
            # the place.
            last = self._store.find(request.page_token)
            if last is None:
                violation = Violation(
                    field="page_token",
                    description=f"{request.page_token!r} is not a next_page_token of this trainer",
                )
                await refuse_fields(context, grpc.StatusCode.INVALID_ARGUMENT, [violation])
            jobs = [job for job in jobs if job.age_key < last.age_key]
        size = min(request.page_size or 100, 1000)
        page = [self._store.snapshot(job) for job in jobs[:size]]
        return trainer_pb2.ListJobsResponse(
            jobs=page, next_page_token=page[-1].job_id if len(jobs) > size else ""
        )

    @faults_are_internal
    async def CancelJob(
        self, request: trainer_pb2.CancelJobRequest, context: Context
    ) -> trainer_pb2.CancelJobResponse:
        if request.mode not in (trainer_pb2.CANCEL_MODE_CHECKPOINT, trainer_pb2.CANCEL_MODE_ABORT):
            violation = Violation(
                field="mode",
                description=(
                    f"{request.mode} is not one of CANCEL_MODE_CHECKPOINT, CANCEL_MODE_ABORT"
                ),
            )
            await refuse_fields(context, grpc.StatusCode.INVALID_ARGUMENT, [violation])
        job = await self._find(request.job_id, context)
        return trainer_pb2.CancelJobResponse(job=self._store.cancel(job, request.mode))

    @faults_are_internal
    async def WatchJob(self, request: trainer_pb2.WatchJobRequest, context: Context) -> None:
        job = await self._find(request.job_id, context)
        cursor = request.after_sequence
        await self._check_cursor(request, self._store.snapshot(job), context)
        with self._changes(job.log) as changed:
            # An old job is not forgotten once it is watched, but may have been just before.
            await self._find(request.job_id, context)
            while not self._stopping:
                changed.clear()
                # A write waits for the client's window, so a slow client occupies at most one chunk
                # of events.
                for event in job.log.read(cursor, EVENTS_PER_READ):
                    await context.write(trainer_pb2.WatchJobResponse(event=event))
                    cursor = event.sequence
                now = self._store.snapshot(job)
                if cursor < now.last_sequence:
                    continue
                if now.state in ENDED or now.state == INTERRUPTED:
                    return
                try:
                    await asyncio.wait_for(changed.wait(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    await context.write(
                        trainer_pb2.WatchJobResponse(heartbeat=self._heartbeat(job))
                    )
        raise stopping()

    async def _find(self, job_id: str, context: Context) -> Job:
        job = self._store.find(job_id)
        if job is None:
            await refuse(
                context, grpc.StatusCode.NOT_FOUND, f"there is no job {job_id!r} on this trainer"
            )
        return job

    async def _check_cursor(
        self, request: trainer_pb2.WatchJobRequest, job: trainer_pb2.Job, context: Context
    ) -> None:
        if request.after_sequence and not request.log_id:
            violation = Violation(
                field="log_id",
                description="is empty; a cursor above 0 needs the log that it counts in",
            )
            await refuse_fields(context, grpc.StatusCode.INVALID_ARGUMENT, [violation])
        if request.log_id and request.log_id != job.log_id:
            message = (
                f"job {job.job_id} has the log {job.log_id}, not {request.log_id}: watch it from "
                "the beginning"
            )
            await refuse(context, grpc.StatusCode.OUT_OF_RANGE, message)
        if request.after_sequence > job.last_sequence:
            message = (
                f"event {request.after_sequence} is past the end of log {job.log_id}, which has "
                f"{job.last_sequence}"
            )
            await refuse(context, grpc.StatusCode.OUT_OF_RANGE, message)

    def _heartbeat(self, job: Job) -> event_pb2.Heartbeat:
        now = self._store.snapshot(job)
        return event_pb2.Heartbeat(
            state=now.state,
            queue_position=now.queue_position,
            last_sequence=now.last_sequence,
            seconds_since_work=self._seconds_since_work()
            if now.state == event_pb2.JOB_STATE_RUNNING
            else 0,
            waiting_for=self._store.waiting_for,
        )

    @contextmanager
    def _changes(self, log: EventLog) -> Iterator[asyncio.Event]:
        """An event that is set after each append to the log and when the trainer stops."""
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(changed.set)

        unlisten = log.listen(wake)
        self._watchers.add(changed)
        try:
            yield changed
        finally:
            self._watchers.discard(changed)
            unlisten()


def build_server(
    servicer: TrainerServicer, artifacts: ArtifactServicer
) -> tuple[grpc.aio.Server, health.aio.HealthServicer]:
    """The server with its services, health and reflection, not listening yet."""
    server = grpc.aio.server(interceptors=[ReadableRequests()], options=OPTIONS)
    trainer_pb2_grpc.add_TrainerServiceServicer_to_server(servicer, server)
    artifacts_pb2_grpc.add_ArtifactServiceServicer_to_server(artifacts, server)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    reflection.enable_server_reflection(
        [SERVICE, ARTIFACT_SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME], server
    )
    return server, health_servicer


async def set_serving(health_servicer: health.aio.HealthServicer) -> None:
    """Makes health report SERVING for the whole server and its services."""
    for name in ("", SERVICE, ARTIFACT_SERVICE):
        await health_servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
