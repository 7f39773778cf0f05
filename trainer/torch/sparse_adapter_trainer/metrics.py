"""What a trainer tells whoever scrapes it (`--metrics-port`), in Prometheus's text format."""

import logging
import re
import resource
import threading
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6

from sparse_adapter.trainer.v1 import capabilities_pb2, event_pb2

from .artifacts.service import ArtifactServicer
from .jobs import QUEUED, RUNNING, JobStore
from .worker import Worker

_log = logging.getLogger(__name__)

ENDS = {
    "succeeded": event_pb2.JOB_STATE_SUCCEEDED,
    "failed": event_pb2.JOB_STATE_FAILED,
    "cancelled": event_pb2.JOB_STATE_CANCELLED,
    "interrupted": event_pb2.JOB_STATE_INTERRUPTED,
}

Value = tuple[float, dict[str, str]]


def render(
    capabilities: capabilities_pb2.Capabilities,
    store: JobStore,
    worker: Worker,
    artifacts: ArtifactServicer,
) -> str:
    """All metrics. Those of trainers in TypeScript are the same: trainer/host/metrics.ts."""
    devices, counts = capabilities.devices, store.counts
    running, queued = (len(store.newest_first([state])) for state in (RUNNING, QUEUED))
    about = {
        "framework": capabilities.framework,
        "version": capabilities.framework_version,
        "device": devices[0].kind,
    }
    metrics = [
        _metric("sa_orch_trainer_info", "gauge", "what it is", [(1, about)]),
        _metric("sa_orch_trainer_slots", "gauge", "jobs that it runs at once", capabilities.slots),
        _metric("sa_orch_trainer_slots_used", "gauge", "jobs that it runs now", running),
        _metric(
            "sa_orch_trainer_queue_length", "gauge", "jobs that may wait", capabilities.queue_length
        ),
        _metric("sa_orch_trainer_queued_jobs", "gauge", "jobs that wait", queued),
        _metric(
            "sa_orch_trainer_jobs_total",
            "counter",
            "runs of jobs that have ended, by how they did",
            [(counts.ended[state], {"state": name}) for name, state in ENDS.items()],
        ),
        _metric(
            "sa_orch_trainer_rows_per_second",
            "gauge",
            "rows scored, trained or predicted",
            counts.rows_per_second,
        ),
        _metric(
            "sa_orch_trainer_steps_total",
            "counter",
            "training steps, all trials together",
            counts.steps,
        ),
        _metric(
            "sa_orch_trainer_seconds_since_work",
            "gauge",
            "since the running job's loop moved; 0 without a job",
            worker.seconds_since_work() if running else 0,
        ),
        _metric(
            "sa_orch_trainer_bytes_received_total",
            "counter",
            "bytes of files that came",
            artifacts.received,
        ),
        _metric(
            "sa_orch_trainer_bytes_sent_total",
            "counter",
            "bytes of files that were fetched",
            artifacts.sent,
        ),
        _metric(
            "sa_orch_trainer_memory_bytes",
            "gauge",
            "memory of its device",
            [(each.memory_bytes, _name(each)) for each in devices if each.memory_bytes],
        ),
        _metric(
            "sa_orch_trainer_memory_used_bytes",
            "gauge",
            "memory of its device in use, by whatever process",
            [(each.memory_used_bytes, _name(each)) for each in devices if each.memory_used_bytes],
        ),
        _metric(
            "process_resident_memory_bytes",
            "gauge",
            "memory of this process",
            _resident_bytes(),
        ),
    ]
    return "\n".join(metrics) + "\n"


def _name(device: capabilities_pb2.Device) -> dict[str, str]:
    return {"device": "cpu" if device.kind == "cpu" else device.name}


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _metric(name: str, kind: str, text: str, values: float | Iterable[Value]) -> str:
    listed = [(values, {})] if isinstance(values, int | float) else values
    lines = [f"{name}{_labels(labels)} {value}" for value, labels in listed]
    return "\n".join([f"# HELP {name} {text}", f"# TYPE {name} {kind}", *lines])


def _labels(labels: dict[str, str]) -> str:
    def escape(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    parts = [f'{name}="{escape(value)}"' for name, value in labels.items()]
    return f"{{{','.join(parts)}}}" if parts else ""


def parse_metrics_port(text: str) -> tuple[str, int]:
    """`9464` of 127.0.0.1, `0.0.0.0:9464` or `[::]:9464`. Raises ArgumentTypeError."""
    match = re.fullmatch(r"(?:(\[[^\]]+\]|[^:]+):)?(\d{1,5})", text)
    if match is None or int(match[2]) > 65_535:
        raise ArgumentTypeError(f"{text} is not a port, or <host>:<port>")
    return (match[1] or "127.0.0.1").strip("[]"), int(match[2])


def serve_metrics(host: str, port: int, make: Callable[[], str]) -> None:
    """Serves `/metrics` from threads. Where it cannot, the trainer works all the same: jobs matter
    more than what is told of them."""

    class Server(ThreadingHTTPServer):
        address_family = AF_INET6 if ":" in host else ThreadingHTTPServer.address_family
        daemon_threads = True

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.split("?")[0] != "/metrics":
                self.send_error(404, "GET /metrics")
                return
            content = make().encode()
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    try:
        server = Server((host, port), Handler)
    except OSError as error:
        _log.warning("no metrics at %s port %d: %s", host, port, error)
        return
    _log.info("metrics at http://%s:%d/metrics", host, server.server_port)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
