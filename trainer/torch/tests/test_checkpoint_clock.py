"""When checkpoints are due by time."""

from sparse_adapter_engine.training.checkpoint_clock import CheckpointClock


def due_times(interval: float, until: float, cost: float) -> list[float]:
    """When checkpoints are written, in seconds since the run began, by a loop that looks each
    second. cost: seconds that writing takes."""
    now = 0.0
    clock = CheckpointClock(interval, lambda: now)
    times = []
    while now < until:
        now += 1
        if clock.is_due():
            times.append(now)
            now += cost
            clock.wrote(cost)
    return times


def test_they_come_at_twice_the_time_of_the_last_one_up_to_the_interval() -> None:
    assert due_times(180, 1000, cost=0) == [10, 20, 40, 80, 160, 320, 500, 680, 860]


def test_a_short_interval_is_kept_from_the_start() -> None:
    assert due_times(3, 10, cost=0) == [3, 6, 9]


def test_writing_takes_less_than_5_percent_of_the_time() -> None:
    times = due_times(180, 10_000, cost=30)
    assert len(times) * 30 < 0.05 * 10_000
    assert times[:3] == [10, 640, 1270]


def test_none_is_due_without_an_interval() -> None:
    assert due_times(0, 10_000, cost=0) == []
