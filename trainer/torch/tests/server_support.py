"""Starts a tiny trainer process and makes requests for it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from sparse_adapter.trainer.v1 import event_pb2, job_pb2, trainer_pb2, trainer_pb2_grpc

from sparse_adapter_engine.reporting import Reporter

TINY_TRAINER = Path(__file__).with_name("tiny_trainer.py")
DATASET = "d" * 32


@dataclass
class IdleEngine:
    """An engine as capabilities and the server see one; it runs nothing."""

    architectures: list[str] = field(default_factory=lambda: ["bert"])
    environment: dict[str, str] = field(
        default_factory=lambda: {"torch": "0.0.0", "device": "cpu", "threads": "1"}
    )
    device: str = "cpu"
    precisions: list[job_pb2.Precision] = field(default_factory=lambda: [job_pb2.PRECISION_FLOAT32])

    def run(self, spec: job_pb2.JobSpec, reporter: Reporter) -> None:
        raise NotImplementedError

    def unload(self) -> None:
        raise NotImplementedError


@dataclass
class TinyTrainer:
    """A running trainer process and a client of it."""

    process: subprocess.Popen[str]
    client: trainer_pb2_grpc.TrainerServiceStub
    channel: grpc.Channel
    ready: dict[str, object]
    root: Path

    def submit(self, request: trainer_pb2.SubmitJobRequest) -> trainer_pb2.SubmitJobResponse:
        return self.client.SubmitJob(request, timeout=10)

    def watch(self, job_id: str, after: int = 0, log_id: str = "") -> list[event_pb2.Event]:
        """All events to the stream's end."""
        request = trainer_pb2.WatchJobRequest(job_id=job_id, after_sequence=after, log_id=log_id)
        return [
            each.event
            for each in self.client.WatchJob(request, timeout=60)
            if each.HasField("event")
        ]

    def watch_until(self, job_id: str, state: int) -> list[event_pb2.Event]:
        """The events up to one that brings this state."""
        events = []
        call = self.client.WatchJob(trainer_pb2.WatchJobRequest(job_id=job_id), timeout=60)
        for response in call:
            events.append(response.event)
            if response.event.state_changed.state == state:
                call.cancel()
                return events
        raise AssertionError(f"the stream ended before state {state}: {events}")

    def kill(self) -> None:
        """Ends the process as a power switch would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def command(script: str, folder: Path, *options: str) -> list[str]:
    """The command of a tiny trainer whose socket, root and state are in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    listen = [] if "--listen" in options else ["--listen", f"unix:{folder}/t.sock"]
    return [
        sys.executable,
        str(TINY_TRAINER),
        script,
        *listen,
        "--root",
        f"{folder}/root",
        "--state",
        f"{folder}/state",
        *options,
    ]


@contextmanager
def tiny_trainer(script: str, folder: Path, *options: str) -> Iterator[TinyTrainer]:
    """A trainer that runs until the block ends."""
    make_root(folder / "root")
    process = subprocess.Popen(command(script, folder, *options), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, f"the trainer left with {process.wait()} before it listened"
        ready = json.loads(line)
        # A proxy in the environment is not meant for this machine.
        direct = [("grpc.enable_http_proxy", 0)]
        with grpc.insecure_channel(str(ready["listening"]), direct) as channel:
            yield TinyTrainer(
                process,
                trainer_pb2_grpc.TrainerServiceStub(channel),
                channel,
                ready,
                folder / "root",
            )
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def short_folder() -> Iterator[Path]:
    """A temporary folder whose name leaves room for a socket's path."""
    with tempfile.TemporaryDirectory(prefix="sat-") as name:
        yield Path(name)


def make_root(root: Path) -> None:
    """An artifact root with what a valid request needs: an empty data set, a backbone's
    configuration, a mask.
    """
    (root / "datasets" / DATASET).mkdir(parents=True, exist_ok=True)
    for name in ("dataset.json", "train.safetensors", "validation.safetensors"):
        (root / "datasets" / DATASET / name).touch()
    (root / "backbone").mkdir(exist_ok=True)
    (root / "backbone" / "config.json").write_text(
        json.dumps({"model_type": "bert", "hidden_size": 384})
    )


def valid_request(
    root: Path, job_id: str = "job-1", digest: str = "a" * 64, trials: int = 1
) -> trainer_pb2.SubmitJobRequest:
    """A prune job that a trainer with `make_root` accepts."""
    spec = job_pb2.JobSpec(
        backbone=job_pb2.Backbone(path=os.fspath(root / "backbone"), digest="b" * 64),
        dataset=job_pb2.Dataset(
            name=f"datasets/{DATASET}",
            digest=DATASET,
            task_kind=job_pb2.TASK_KIND_CLASSIFICATION,
            num_labels=2,
        ),
        trials=[valid_trial(f"t{index}") for index in range(trials)],
        prune=job_pb2.PruneWork(),
    )
    return trainer_pb2.SubmitJobRequest(job_id=job_id, spec_digest=digest, spec=spec)


def valid_trial(trial_id: str) -> job_pb2.Trial:
    """A fully resolved trial."""
    return job_pb2.Trial(
        trial_id=trial_id,
        seed=1,
        adapter=job_pb2.Adapter(
            attention=job_pb2.ATTENTION_MODULE_SEQUENTIAL,
            ffn=job_pb2.FFN_MODULE_SEQUENTIAL,
            attention_bottleneck=8,
            ffn_bottleneck=8,
            scale=1,
            norm=job_pb2.ADAPTER_NORM_BEFORE,
            activation=job_pb2.ACTIVATION_RELU,
            init=job_pb2.ADAPTER_INIT_GAUSSIAN,
            init_std=0.02,
            unfrozen=job_pb2.UNFROZEN_NONE,
        ),
        prune=job_pb2.Prune(
            pruner=job_pb2.PRUNER_SNIP,
            sparsity=0.5,
            scope=job_pb2.PRUNE_SCOPE_GLOBAL,
            scoring_rows=8,
            rounds=1,
            control=job_pb2.MASK_CONTROL_NONE,
            structure=job_pb2.MASK_STRUCTURE_WEIGHTS,
            rules=job_pb2.MASK_RULES_EXACT,
        ),
        train=job_pb2.Train(
            batch_size=8,
            total_steps=10,
            learning_rate=1e-3,
            weight_decay=0.1,
            warmup=0.06,
            schedule=job_pb2.LEARNING_RATE_SCHEDULE_LINEAR,
            max_grad_norm=1,
            adam_beta1=0.9,
            adam_beta2=0.999,
            adam_epsilon=1e-8,
        ),
    )


def details(error: grpc.RpcError, kind: type[Message]) -> Message:
    """The detail of this kind in the error's google.rpc.Status."""
    trailer = dict(error.trailing_metadata())["grpc-status-details-bin"]
    for each in status_pb2.Status.FromString(trailer).details:
        if each.Is(kind.DESCRIPTOR):
            found = kind()
            each.Unpack(found)
            return found
    raise AssertionError(f"no {kind.DESCRIPTOR.full_name} in the error's details")


def fields(error: grpc.RpcError) -> dict[str, str]:
    """The field violations of an error: path and description."""
    found = details(error, error_details_pb2.BadRequest)
    assert isinstance(found, error_details_pb2.BadRequest)
    return {each.field: each.description for each in found.field_violations}
