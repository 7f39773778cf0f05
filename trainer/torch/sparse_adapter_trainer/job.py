"""One job of a trainer, in memory and on disk.

`<state>/jobs/<job id>/` holds `spec.pb` (a JobSpec), `events.log`, `job.json` (the job as GetJob
returns it, and how many of its runs crashed) and, while the job runs, `running`. A state change is
in the log before it is in job.json, so after a crash the log is right; and it is in memory only
once it is on disk, so a full disk changes nothing.

`running` has the id of the machine's boot. Only a trainer that crashes leaves it: one that is
stopped removes it, which needs no room, and after a reboot the id is another. So neither counts
against the job.
"""

import json
from collections.abc import Callable
from pathlib import Path

from google.protobuf import json_format
from sparse_adapter.trainer.v1 import job_pb2, trainer_pb2

from sparse_adapter_engine.files.durable import boot_id, write_durably

from .event_log import EventLog


class BrokenState(Exception):
    """A job's files cannot be read; the message names the folder and says what to do."""


class Job:
    """A job in memory. Only JobStore changes it."""

    def __init__(
        self, folder: Path, record: trainer_pb2.Job, crashes: int, stalls: int = 0
    ) -> None:
        self.folder = folder
        self.record = record
        # Runs that took the process down with them, since the last checkpoint.
        self.crashes = crashes
        # Runs whose loop stopped moving, since the last checkpoint.
        self.stalls = stalls
        self.cancel_mode: int = trainer_pb2.CANCEL_MODE_UNSPECIFIED
        self._log: EventLog | None = None

    @property
    def log(self) -> EventLog:
        """The job's events, read from disk on first use."""
        if self._log is None:
            self._log = EventLog(self.folder / "events.log", self.record.log_id)
        return self._log

    @property
    def age_key(self) -> tuple[int, str]:
        """Sorts jobs from old to new; unique for each job."""
        return self.record.create_time.ToNanoseconds(), self.record.job_id

    def spec(self) -> job_pb2.JobSpec:
        """The specification, read from disk."""
        spec = job_pb2.JobSpec()
        spec.ParseFromString((self.folder / "spec.pb").read_bytes())
        return spec

    def change(
        self,
        record: trainer_pb2.Job,
        crashes: int,
        first: Callable[[], None] | None = None,
        stalls: int | None = None,
    ) -> None:
        """Writes job.json, then changes the job in memory; neither if a write fails. first: as in
        write_durably."""
        stalls = self.stalls if stalls is None else stalls
        content = {
            "job": json_format.MessageToDict(record),
            "unfinished_runs": crashes,
            "stalls": stalls,
            "boot_id": boot_id(),
        }
        write_durably(self.folder / "job.json", json.dumps(content, indent=2).encode(), first)
        self.record.CopyFrom(record)
        self.crashes = crashes
        self.stalls = stalls

    @property
    def running_mark(self) -> Path:
        """The file that exists while the job runs."""
        return self.folder / "running"

    @property
    def crashed(self) -> bool:
        """Whether the last run was ended by a crash of the trainer alone, and not by the machine
        going down. Only before the next run."""
        mark = self.running_mark
        return mark.exists() and mark.read_text() == boot_id()


def read_job(folder: Path) -> tuple[Job, str]:
    """The job in a folder, and the id of the boot in which it was written.

    Raises BrokenState.
    """
    try:
        content = json.loads((folder / "job.json").read_bytes())
        record = json_format.ParseDict(content["job"], trainer_pb2.Job())
        job = Job(folder, record, content["unfinished_runs"], content.get("stalls", 0))
        return job, content["boot_id"]
    except (OSError, ValueError, KeyError, json_format.ParseError) as error:
        raise BrokenState(
            f"{folder}: job.json cannot be read ({error}); move the folder away to go on "
            "without this job"
        ) from error
