"""Which ended jobs a trainer forgets."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from sparse_adapter.trainer.v1 import event_pb2, job_pb2

from sparse_adapter_trainer.jobs import JobStore
from sparse_adapter_trainer.retention import Retention

HOUR = 3600.0
NOW = 2400 * HOUR


@dataclass
class Job:
    name: str
    ended_at: float
    size: int


def job(name: str, hours: float, megabytes: int) -> Job:
    return Job(name, NOW - hours * HOUR, megabytes * 1_000_000)


ENDED = [job("day", 24, 30), job("week", 24 * 7, 5), job("hours", 3, 40)]


@pytest.mark.parametrize(
    ("days", "megabytes", "forgotten"),
    [
        (14, 1000, []),
        (2, 1000, ["week"]),
        (0.5, 1000, ["week", "day"]),
        (14, 75, []),
        (14, 72, ["week"]),
        (14, 69, ["week", "day"]),
    ],
)
def test_old_jobs_are_forgotten_and_the_oldest_while_all_take_too_much_room(
    days: float, megabytes: float, forgotten: list[str]
) -> None:
    chosen = Retention(days, megabytes).choose(ENDED, NOW)
    assert [each.name for each in chosen] == forgotten


def test_none_of_the_last_hour_is_forgotten_for_want_of_room() -> None:
    chosen = Retention(14, 1).choose([*ENDED, job("now", 0.9, 500)], NOW)
    assert [each.name for each in chosen] == ["week", "day", "hours"]


def test_a_job_is_not_forgotten_while_a_client_watches_it(tmp_path: Path) -> None:
    store = JobStore(tmp_path, 1, 3, Retention(days=1e-9))

    def run_to_its_end(job_id: str) -> None:
        store.submit(job_id, "0" * 64, job_pb2.JobSpec())
        taken = store.take()
        assert taken is not None
        store.finish(taken, event_pb2.JOB_STATE_SUCCEEDED)

    store.submit("watched", "0" * 64, job_pb2.JobSpec())
    watched = store.take()
    assert watched is not None
    stop = watched.log.listen(lambda: None)
    store.finish(watched, event_pb2.JOB_STATE_SUCCEEDED)
    run_to_its_end("second")
    assert store.find("watched") is watched
    stop()
    run_to_its_end("third")
    assert store.find("watched") is None
    assert not (tmp_path / "jobs" / "watched").exists()
