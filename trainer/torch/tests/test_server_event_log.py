"""Events on disk."""

from pathlib import Path

import pytest
from sparse_adapter.trainer.v1 import event_pb2

from sparse_adapter_trainer.event_log import EventLog


def warning(text: str) -> event_pb2.Event:
    return event_pb2.Event(warning=event_pb2.Warning(code="test", message=text))


def filled(path: Path, count: int) -> EventLog:
    log = EventLog(path, "log")
    for number in range(count):
        log.append(warning(f"event {number + 1}"), sync=False)
    return log


def messages(events: list[event_pb2.Event]) -> list[str]:
    return [each.warning.message for each in events]


def test_events_are_numbered_from_1_and_read_from_any_place(tmp_path):
    log = filled(tmp_path / "log", 10)
    assert [each.sequence for each in log.read(0, 100)] == list(range(1, 11))
    assert messages(log.read(4, 2)) == ["event 5", "event 6"]
    assert log.read(10, 5) == []
    assert {each.log_id for each in log.read(0, 100)} == {"log"}


@pytest.mark.parametrize("cut", range(1, 30))
def test_a_torn_tail_is_cut_and_its_number_is_given_again(tmp_path, cut):
    path = tmp_path / "log"
    filled(path, 3).close()
    data = path.read_bytes()
    path.write_bytes(data[:-cut])
    log = EventLog(path, "log")
    assert log.last_sequence == 2
    log.append(warning("anew"), sync=True)
    log.close()
    assert messages(EventLog(path, "log").read(0, 9)) == ["event 1", "event 2", "anew"]


@pytest.mark.parametrize("tail", [b"\0" * 8, b"\0" * 4096, b"\xff" * 100])
def test_what_a_power_cut_left_after_the_last_event_is_cut(tmp_path, tail):
    path = tmp_path / "log"
    filled(path, 3).close()
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    assert EventLog(path, "log").last_sequence == 3
    assert path.read_bytes() == whole


def test_the_newest_state_is_found_behind_thousands_of_other_events(tmp_path):
    log = EventLog(tmp_path / "log", "log")
    for state in (event_pb2.JOB_STATE_QUEUED, event_pb2.JOB_STATE_RUNNING):
        log.append(event_pb2.Event(state_changed=event_pb2.StateChanged(state=state)), sync=True)
    for number in range(2500):
        log.append(warning(str(number)), sync=False)
    last = log.last_state()
    assert last is not None and last.state == event_pb2.JOB_STATE_RUNNING
    assert EventLog(tmp_path / "empty", "log").last_state() is None


def test_a_listener_hears_of_an_event_that_is_in_the_file_already(tmp_path):
    log = EventLog(tmp_path / "log", "log")
    heard = []
    stop = log.listen(lambda: heard.append(messages(EventLog(tmp_path / "log", "log").read(0, 9))))
    log.append(warning("first"), sync=False)
    stop()
    log.append(warning("second"), sync=False)
    assert heard == [["first"]]
