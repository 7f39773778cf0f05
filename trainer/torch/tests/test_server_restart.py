"""What outlives the trainer process, and what a second one is refused."""

import json
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from server_support import command, make_root, short_folder, tiny_trainer, valid_request
from sparse_adapter.trainer.v1 import event_pb2, trainer_pb2

RUNNING = event_pb2.JOB_STATE_RUNNING
INTERRUPTED = event_pb2.JOB_STATE_INTERRUPTED
FAILED = event_pb2.JOB_STATE_FAILED


def job(trainer, job_id="job-1"):
    return trainer.client.GetJob(trainer_pb2.GetJobRequest(job_id=job_id)).job


def test_after_a_kill_running_and_waiting_jobs_are_interrupted_and_go_on_in_the_same_log():
    with short_folder() as folder:
        with tiny_trainer("metrics:50,wait", folder) as trainer:
            request = valid_request(trainer.root)
            trainer.submit(request)
            trainer.submit(valid_request(trainer.root, "waiting"))
            seen = trainer.watch_until("job-1", RUNNING)
            trainer.kill()
        with tiny_trainer("metrics:2", folder) as trainer:
            assert job(trainer, "waiting").state == INTERRUPTED
            rest = trainer.watch("job-1", seen[-1].sequence, seen[-1].log_id)
            assert rest[-1].state_changed.state == INTERRUPTED
            assert not trainer.submit(request).created
            whole = trainer.watch("job-1")
            assert whole[: len(seen + rest)] == seen + rest
            assert [each.sequence for each in whole] == list(range(1, len(whole) + 1))
            assert (job(trainer).state, job(trainer).runs) == (event_pb2.JOB_STATE_SUCCEEDED, 2)


def test_a_job_that_takes_the_trainer_down_three_times_is_quarantined():
    with short_folder() as folder:
        for _ in range(3):
            with tiny_trainer("die", folder) as trainer:
                trainer.submit(valid_request(trainer.root))
                trainer.process.wait(10)
        with tiny_trainer("die", folder) as trainer:
            last = job(trainer)
            assert (last.state, last.failure.reason, last.runs) == (
                FAILED,
                event_pb2.FAILURE_REASON_QUARANTINED,
                3,
            )
            assert trainer.submit(valid_request(trainer.root)).job.state == FAILED


def test_a_run_that_came_to_a_checkpoint_begins_the_count_of_crashes_anew():
    with short_folder() as folder:
        for _ in range(4):
            with tiny_trainer("checkpoint,die", folder) as trainer:
                trainer.submit(valid_request(trainer.root))
                trainer.process.wait(10)
        with tiny_trainer("done", folder) as trainer:
            assert job(trainer).state == INTERRUPTED


def test_sigterm_stops_the_job_with_a_checkpoint_closes_watchers_and_exits_with_0():
    with short_folder() as folder:
        for _ in range(4):  # more often than a crash would be forgiven
            with tiny_trainer("wait", folder) as trainer:
                trainer.submit(valid_request(trainer.root))
                trainer.submit(valid_request(trainer.root, "waiting"))
                trainer.watch_until("job-1", RUNNING)
                watcher = trainer.client.WatchJob(trainer_pb2.WatchJobRequest(job_id="waiting"))
                next(watcher)
                trainer.process.send_signal(signal.SIGTERM)
                with pytest.raises(grpc.RpcError) as error:
                    list(watcher)
                assert error.value.code() == grpc.StatusCode.UNAVAILABLE
                assert trainer.process.wait(20) == 0
        with tiny_trainer("done", folder) as trainer:
            assert job(trainer).state == INTERRUPTED


def test_sigterm_ends_a_trainer_within_20_s_even_if_the_engine_is_stuck_and_the_job_is_not_blamed():
    with short_folder() as folder:
        with tiny_trainer("stuck", folder, "--quarantine-after", "1") as trainer:
            trainer.submit(valid_request(trainer.root))
            trainer.watch_until("job-1", RUNNING)
            started = time.monotonic()
            trainer.process.send_signal(signal.SIGTERM)
            assert trainer.process.wait(30) == 0
            assert time.monotonic() - started < 20
        with tiny_trainer("done", folder, "--quarantine-after", "1") as trainer:
            assert job(trainer).state == INTERRUPTED


def test_a_trainer_that_is_killed_while_it_stops_does_not_blame_its_job():
    with short_folder() as folder:
        with tiny_trainer("stuck", folder, "--quarantine-after", "1") as trainer:
            trainer.submit(valid_request(trainer.root))
            trainer.watch_until("job-1", RUNNING)
            trainer.process.send_signal(signal.SIGTERM)
            while (folder / "state/jobs/job-1/running").exists():
                time.sleep(0.01)
            trainer.kill()
        with tiny_trainer("done", folder, "--quarantine-after", "1") as trainer:
            assert job(trainer).state == INTERRUPTED


def test_three_reboots_in_one_job_are_not_its_fault_and_a_crash_after_them_counts_as_one():
    with short_folder() as folder:
        for reboots in (True, True, True, False):
            with tiny_trainer("wait", folder, "--quarantine-after", "2") as trainer:
                trainer.submit(valid_request(trainer.root))
                trainer.watch_until("job-1", RUNNING)
                trainer.kill()
            mark = folder / "state/jobs/job-1/running"
            if reboots:
                mark.write_text("another boot")
            assert mark.exists()
        with tiny_trainer("done", folder, "--quarantine-after", "2") as trainer:
            assert job(trainer).state == INTERRUPTED
            assert not (folder / "state/jobs/job-1/running").exists()


def stall(folder, *options):
    """Runs a trainer until it gets stuck in the job."""
    with tiny_trainer("stuck", folder, "--stall-after", "1", *options) as trainer:
        trainer.submit(valid_request(trainer.root))
        assert trainer.process.wait(30) == 3


def test_a_stuck_loop_ends_the_trainer_once_and_the_job_when_it_is_stuck_again():
    with short_folder() as folder:
        stall(folder)
        with tiny_trainer("done", folder) as trainer:
            assert job(trainer).state == INTERRUPTED
            last = trainer.watch("job-1")[-1].state_changed
            assert last.detail == "the loop did not move for 1 s, so the trainer restarts"
        stall(folder, "--quarantine-after", "1")
        with tiny_trainer("done", folder) as trainer:
            failure = job(trainer).failure
            assert failure.reason == event_pb2.FAILURE_REASON_STALLED
            assert "the loop did not move for 1 s, as before" in failure.message


def test_a_checkpoint_between_two_stalls_shows_that_the_job_gets_on():
    with short_folder() as folder:
        stall(folder)
        with tiny_trainer("checkpoint,stuck", folder, "--stall-after", "1") as trainer:
            trainer.submit(valid_request(trainer.root))
            assert trainer.process.wait(30) == 3
        with tiny_trainer("done", folder) as trainer:
            assert job(trainer).state == INTERRUPTED


def test_a_stuck_job_that_was_cancelled_ends_as_cancelled():
    with short_folder() as folder:
        with tiny_trainer("stuck", folder, "--stall-after", "2") as trainer:
            trainer.submit(valid_request(trainer.root))
            trainer.watch_until("job-1", RUNNING)
            trainer.client.CancelJob(
                trainer_pb2.CancelJobRequest(job_id="job-1", mode=trainer_pb2.CANCEL_MODE_ABORT)
            )
            assert trainer.process.wait(30) == 3
        with tiny_trainer("done", folder) as trainer:
            assert job(trainer).state == event_pb2.JOB_STATE_CANCELLED


def test_a_process_that_was_stopped_for_longer_is_not_stuck():
    with short_folder() as folder, tiny_trainer("wait", folder, "--stall-after", "1") as trainer:
        trainer.submit(valid_request(trainer.root))
        trainer.watch_until("job-1", RUNNING)
        trainer.process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        trainer.process.send_signal(signal.SIGCONT)
        time.sleep(0.5)
        assert job(trainer).state == RUNNING


def test_health_is_serving_for_the_server_and_the_service():
    with short_folder() as folder, tiny_trainer("done", folder) as trainer:
        stub = health_pb2_grpc.HealthStub(trainer.channel)
        for service in ("", "sparse_adapter.trainer.v1.TrainerService"):
            assert (
                stub.Check(health_pb2.HealthCheckRequest(service=service)).status
                == health_pb2.HealthCheckResponse.SERVING
            )


def refusal(arguments: list[str]) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (2, ""), done
    return done.stderr


def test_a_second_trainer_on_the_same_state_or_socket_is_refused_and_the_first_goes_on():
    with short_folder() as folder, tiny_trainer("done", folder) as trainer:
        same_state = command("done", folder, "--listen", f"unix:{folder}/other.sock")
        assert f"another trainer (process {trainer.process.pid}, since " in refusal(same_state)
        same_socket = [
            each.replace(f"{folder}/state", f"{folder}/other") for each in command("done", folder)
        ]
        assert f"already uses {folder}/t.sock" in refusal(same_socket)
        assert trainer.submit(valid_request(trainer.root)).created


def test_a_second_trainer_on_the_same_port_is_refused():
    with (
        short_folder() as folder,
        tiny_trainer("done", folder, "--listen", "127.0.0.1:0", "--insecure") as trainer,
    ):
        arguments = command(
            "done", folder / "second", "--listen", str(trainer.ready["listening"]), "--insecure"
        )
        said = refusal(arguments)
        assert said.endswith(": cannot listen here: Address already in use\n"), said
        assert said.count("\n") == 1, said


def test_tcp_without_tls_needs_an_explicit_flag():
    with short_folder() as folder:
        assert refusal(command("done", folder, "--listen", "127.0.0.1:0")) == (
            "sparse_adapter_trainer: --listen 127.0.0.1:0: TCP needs --tls-cert and --tls-key, or "
            "an explicit --insecure\n"
        )


@pytest.mark.parametrize(
    ("listen", "says"),
    [
        ("foo", "'foo' is neither unix:/path.sock nor host:port"),
        ("127.0.0.1:99999", "127.0.0.1:99999: the port must be at most 65535"),
    ],
)
def test_an_address_that_is_none_is_refused(listen: str, says: str):
    with short_folder() as folder:
        assert refusal(command("done", folder, "--listen", listen)).endswith(f": {says}\n")


def test_tls_files_that_cannot_be_used_are_refused_by_name():
    with short_folder() as folder:
        other = folder / "other"
        other.write_text("no certificate")

        def refuse(cert: Path, key: Path) -> str:
            given = ["--tls-cert", str(cert), "--tls-key", str(key)]
            return refusal(command("done", folder, "--listen", "127.0.0.1:0", *given))

        assert f"--tls-cert: cannot read {folder}/none: No such file" in refuse(
            folder / "none", other
        )
        assert f"--tls-key: cannot read {folder}/none: No such file" in refuse(
            other, folder / "none"
        )
        assert f"{other} and {other} are not a certificate in PEM format and its key" in refuse(
            other, other
        )


def test_a_socket_that_a_killed_trainer_left_is_replaced_and_only_its_owner_can_connect():
    with short_folder() as folder:
        with tiny_trainer("done", folder) as trainer:
            trainer.kill()
        assert (folder / "t.sock").is_socket()
        with tiny_trainer("done", folder) as trainer:
            assert trainer.submit(valid_request(trainer.root)).created
            assert stat.S_IMODE((folder / "t.sock").stat().st_mode) == 0o600


def test_what_is_no_stale_socket_is_left_alone():
    with short_folder() as folder:
        make_root(folder / "root")
        (folder / "t.sock").write_text("mine")
        assert "is not a socket; it is left alone" in refusal(command("done", folder))
        assert (folder / "t.sock").read_text() == "mine"
        (folder / "t.sock").unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(f"{folder}/t.sock")
            other.listen()
            assert "another process listens there" in refusal(command("done", folder))


def test_a_socket_path_that_the_system_would_cut_is_refused():
    with short_folder() as folder:
        path = f"{folder}/{'x' * 108}.sock"
        assert "longer than 107 bytes" in refusal(
            command("done", folder, "--listen", f"unix:{path}")
        )


def test_a_broken_job_file_is_named_at_the_start():
    with short_folder() as folder:
        with tiny_trainer("done", folder) as trainer:
            trainer.submit(valid_request(trainer.root))
        (folder / "state/jobs/job-1/job.json").write_text("{")
        assert f"{folder}/state/jobs/job-1: job.json cannot be read" in refusal(
            command("done", folder)
        )


def test_after_the_machine_itself_went_down_the_log_has_a_new_name_as_its_tail_may_be_lost():
    with short_folder() as folder:
        with tiny_trainer("wait", folder) as trainer:
            trainer.submit(valid_request(trainer.root))
            seen = trainer.watch_until("job-1", RUNNING)
            trainer.kill()
        path = folder / "state/jobs/job-1/job.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "boot_id": "another"}))
        with tiny_trainer("done", folder) as trainer:
            with pytest.raises(grpc.RpcError) as error:
                trainer.watch("job-1", seen[-1].sequence, seen[-1].log_id)
            assert error.value.code() == grpc.StatusCode.OUT_OF_RANGE
            assert {each.log_id for each in trainer.watch("job-1")} == {job(trainer).log_id}
