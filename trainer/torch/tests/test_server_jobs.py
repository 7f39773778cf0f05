"""The life of a job, seen by a client of a trainer process."""

import signal
import time
from collections.abc import Callable

import grpc
import pytest
from google.rpc import error_details_pb2
from server_support import (
    TinyTrainer,
    details,
    fields,
    short_folder,
    tiny_trainer,
    valid_request,
)
from sparse_adapter.trainer.v1 import event_pb2, trainer_pb2

SUCCEEDED = event_pb2.JOB_STATE_SUCCEEDED
RUNNING = event_pb2.JOB_STATE_RUNNING
INTERRUPTED = event_pb2.JOB_STATE_INTERRUPTED


def states(events: list[event_pb2.Event]) -> list[str]:
    return [
        event_pb2.JobState.Name(each.state_changed.state)[10:]
        for each in events
        if each.HasField("state_changed")
    ]


def wait_until(trainer: TinyTrainer, holds: Callable[[trainer_pb2.Job], bool]) -> None:
    """Waits for job-1 to be so."""
    deadline = time.monotonic() + 10
    while not holds(trainer.client.GetJob(trainer_pb2.GetJobRequest(job_id="job-1")).job):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_job_runs_to_its_end_and_its_events_are_numbered_without_gaps():
    with short_folder() as folder, tiny_trainer("metrics:3", folder) as trainer:
        assert trainer.submit(valid_request(trainer.root)).created
        events = trainer.watch("job-1")
        assert states(events) == ["QUEUED", "RUNNING", "SUCCEEDED"]
        assert [each.sequence for each in events] == list(range(1, 8))
        assert len({each.log_id for each in events}) == 1
        job = trainer.client.GetJob(trainer_pb2.GetJobRequest(job_id="job-1")).job
        assert (job.state, job.last_sequence, job.runs, job.log_id) == (
            SUCCEEDED,
            7,
            1,
            events[0].log_id,
        )


def test_a_watcher_goes_on_from_any_sequence():
    with short_folder() as folder, tiny_trainer("metrics:600", folder) as trainer:
        trainer.submit(valid_request(trainer.root))
        whole = trainer.watch("job-1")
        for after in (1, 255, 256, 257, len(whole)):
            assert trainer.watch("job-1", after, whole[0].log_id) == whole[after:]


def test_a_cursor_of_another_log_or_past_the_end_is_out_of_range():
    with short_folder() as folder, tiny_trainer("done", folder) as trainer:
        log_id = trainer.submit(valid_request(trainer.root)).job.log_id
        trainer.watch("job-1")
        for after, log in ((1, "another"), (0, "another"), (5, log_id)):
            with pytest.raises(grpc.RpcError) as error:
                trainer.watch("job-1", after, log)
            assert error.value.code() == grpc.StatusCode.OUT_OF_RANGE
        with pytest.raises(grpc.RpcError) as error:
            trainer.watch("job-1", 1)
        assert fields(error.value) == {
            "log_id": "is empty; a cursor above 0 needs the log that it counts in"
        }


def test_submitting_again_finds_the_job_and_another_digest_is_refused():
    with short_folder() as folder, tiny_trainer("done", folder) as trainer:
        request = valid_request(trainer.root)
        trainer.submit(request)
        trainer.watch("job-1")
        again = trainer.submit(request)
        assert (again.created, again.job.state, again.job.runs) == (False, SUCCEEDED, 1)
        with pytest.raises(grpc.RpcError) as error:
            trainer.submit(valid_request(trainer.root, digest="c" * 64))
        assert error.value.code() == grpc.StatusCode.ALREADY_EXISTS


def test_a_full_queue_is_resource_exhausted_with_a_time_to_try_again():
    with short_folder() as folder, tiny_trainer("wait", folder, "--queue-length", "1") as trainer:
        trainer.submit(valid_request(trainer.root, "first"))
        trainer.watch_until("first", RUNNING)
        assert trainer.submit(valid_request(trainer.root, "second")).job.queue_position == 1
        with pytest.raises(grpc.RpcError) as error:
            trainer.submit(valid_request(trainer.root, "third"))
        assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (
            details(error.value, error_details_pb2.QuotaFailure).violations[0].subject
            == "queue_length"
        )
        assert details(error.value, error_details_pb2.RetryInfo).retry_delay.seconds > 0


def test_cancelling_a_waiting_job_takes_it_out_of_the_queue():
    with short_folder() as folder, tiny_trainer("wait", folder) as trainer:
        for job_id in ("first", "paused", "aborted"):
            trainer.submit(valid_request(trainer.root, job_id))
        trainer.watch_until("first", RUNNING)
        trainer.client.CancelJob(
            trainer_pb2.CancelJobRequest(job_id="paused", mode=trainer_pb2.CANCEL_MODE_CHECKPOINT)
        )
        trainer.client.CancelJob(
            trainer_pb2.CancelJobRequest(job_id="aborted", mode=trainer_pb2.CANCEL_MODE_ABORT)
        )
        assert states(trainer.watch("paused")) == ["QUEUED", "INTERRUPTED"]
        assert states(trainer.watch("aborted")) == ["QUEUED", "CANCELLED"]


def test_a_paused_job_goes_on_when_it_is_submitted_again_and_an_interrupted_one_can_be_aborted():
    with short_folder() as folder, tiny_trainer("wait", folder) as trainer:
        request = valid_request(trainer.root)
        trainer.submit(request)
        for run in (1, 2):
            wait_until(trainer, lambda job, run=run: (job.state, job.runs) == (RUNNING, run))
            trainer.client.CancelJob(
                trainer_pb2.CancelJobRequest(
                    job_id="job-1", mode=trainer_pb2.CANCEL_MODE_CHECKPOINT
                )
            )
            wait_until(trainer, lambda job: job.state == INTERRUPTED)
            response = trainer.submit(request)
            assert not response.created
        trainer.client.CancelJob(
            trainer_pb2.CancelJobRequest(job_id="job-1", mode=trainer_pb2.CANCEL_MODE_ABORT)
        )
        events = trainer.watch("job-1")
        assert states(events)[:6] == [
            "QUEUED",
            "RUNNING",
            "INTERRUPTED",
            "QUEUED",
            "RUNNING",
            "INTERRUPTED",
        ]
        assert states(events)[-1] == "CANCELLED"


def test_a_cancel_without_a_mode_is_refused_and_an_unknown_job_is_not_found():
    with short_folder() as folder, tiny_trainer("done", folder) as trainer:
        with pytest.raises(grpc.RpcError) as error:
            trainer.client.CancelJob(trainer_pb2.CancelJobRequest(job_id="job-1"))
        assert list(fields(error.value)) == ["mode"]
        for call, request in (
            (trainer.client.GetJob, trainer_pb2.GetJobRequest(job_id="no")),
            (
                trainer.client.CancelJob,
                trainer_pb2.CancelJobRequest(job_id="no", mode=trainer_pb2.CANCEL_MODE_ABORT),
            ),
        ):
            with pytest.raises(grpc.RpcError) as error:
                call(request)
            assert error.value.code() == grpc.StatusCode.NOT_FOUND


def test_a_fault_in_the_engine_fails_the_job_without_a_trace_and_the_next_job_runs():
    with short_folder() as folder, tiny_trainer("fault", folder) as trainer:
        for job_id in ("first", "second"):
            trainer.submit(valid_request(trainer.root, job_id))
            failure = trainer.watch(job_id)[-1].state_changed.failure
            assert failure.reason == event_pb2.FAILURE_REASON_INTERNAL
            assert "ZeroDivisionError: a fault on purpose" in failure.message
            assert "Traceback" not in failure.message


def test_a_job_that_fails_as_a_whole_keeps_its_reason():
    with short_folder() as folder, tiny_trainer("fail", folder) as trainer:
        trainer.submit(valid_request(trainer.root))
        trainer.watch("job-1")
        job = trainer.client.GetJob(trainer_pb2.GetJobRequest(job_id="job-1")).job
        assert (job.state, job.failure.reason) == (
            event_pb2.JOB_STATE_FAILED,
            event_pb2.FAILURE_REASON_BAD_ARTIFACT,
        )


def test_jobs_are_listed_newest_first_in_pages():
    with short_folder() as folder, tiny_trainer("done", folder) as trainer:
        for number in range(5):
            trainer.submit(valid_request(trainer.root, f"job-{number}"))
            trainer.watch(f"job-{number}")
        seen, token = [], ""
        while True:
            page = trainer.client.ListJobs(
                trainer_pb2.ListJobsRequest(page_size=2, page_token=token, states=[SUCCEEDED])
            )
            seen += [job.job_id for job in page.jobs]
            token = page.next_page_token
            if not token:
                break
        assert seen == ["job-4", "job-3", "job-2", "job-1", "job-0"]
        assert not trainer.client.ListJobs(trainer_pb2.ListJobsRequest(states=[RUNNING])).jobs


def test_a_hundred_watchers_do_not_keep_others_from_the_trainer():
    with short_folder() as folder, tiny_trainer("wait", folder) as trainer:
        trainer.submit(valid_request(trainer.root))
        calls = [
            trainer.client.WatchJob(trainer_pb2.WatchJobRequest(job_id="job-1")) for _ in range(100)
        ]
        for call in calls:
            next(call)
        assert (
            trainer.client.GetCapabilities(
                trainer_pb2.GetCapabilitiesRequest(), timeout=5
            ).capabilities.framework
            == "torch"
        )
        for call in calls:
            call.cancel()


def test_an_idle_stream_sends_a_sign_of_life_after_five_seconds():
    with short_folder() as folder, tiny_trainer("stuck", folder) as trainer:
        trainer.submit(valid_request(trainer.root))
        call = trainer.client.WatchJob(trainer_pb2.WatchJobRequest(job_id="job-1"), timeout=20)
        heartbeat = next(each.heartbeat for each in call if each.HasField("heartbeat"))
        assert (heartbeat.state, heartbeat.last_sequence) == (RUNNING, 2)
        assert heartbeat.seconds_since_work > 4
        call.cancel()
        trainer.process.send_signal(signal.SIGKILL)
