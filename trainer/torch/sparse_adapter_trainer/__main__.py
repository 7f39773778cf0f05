"""`python -m sparse_adapter_trainer`: a trainer that serves jobs until it is stopped.

Prints one JSON line on stdout once it listens; everything else goes to stderr. Exit status: 0 after
SIGTERM, SIGINT or SIGHUP, 2 if the command line, the address, the state folder or the device is not
usable, 3 if the running job's loop is stuck, 1 if the trainer itself fails.
"""

import argparse
import asyncio
import json
import logging
import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import grpc
from sparse_adapter.trainer.v1 import capabilities_pb2

from sparse_adapter_trainer import capabilities

from .artifacts.service import ArtifactServicer
from .devices import UnusableDevice, choose_device, parse_device
from .explain_error import Explained, explain_fault, explain_system_error
from .job import BrokenState
from .jobs import JobStore
from .listening import CannotListen, lock_or_refuse, parse_address
from .metrics import parse_metrics_port, render, serve_metrics
from .retention import Retention
from .server import TrainerServicer, build_server, set_serving
from .tls import read_credentials
from .watchdog import watch_for_stall
from .worker import EngineLike, Worker
from .wrapper import stop_with_wrapper

# Together less than the 20 s after which a supervisor kills.
STOP_JOB_SECONDS = 15
CLOSE_CALLS_SECONDS = 2


class Parser(argparse.ArgumentParser):
    """Says what is wrong in a sentence, without all options before it: `sa-orch trainer`, whose
    options are others, shows it to its users."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parses and checks the command line."""
    parser = Parser(
        prog="sparse_adapter_trainer",
        description="Serves prune, train and predict jobs of sparse adapters over gRPC.",
    )
    parser.add_argument(
        "--listen",
        required=True,
        type=parse_address,
        metavar="ADDRESS",
        help="unix:/path.sock, or host:port with --tls-cert and --tls-key or --insecure",
    )
    parser.add_argument(
        "--root",
        required=True,
        type=Path,
        help="the artifact root: reads data sets, writes masks, adapters and predictions",
    )
    parser.add_argument(
        "--state",
        required=True,
        type=Path,
        help="this trainer's own folder for jobs and their logs",
    )
    device = "auto, cpu, cuda, or cuda:<index>; auto uses the first GPU if there is one (default)"
    parser.add_argument(
        "--device", default="auto", type=parse_device, metavar="DEVICE", help=device
    )
    parser.add_argument(
        "--threads", type=int, help="CPU threads, at most (and by default) the number of cores"
    )
    parser.add_argument(
        "--queue-length", type=int, default=16, help="jobs that may wait (default 16)"
    )
    parser.add_argument(
        "--quarantine-after",
        type=int,
        default=3,
        help="give up a job after this many of its runs crashed the trainer (default 3)",
    )
    standard = Retention()
    parser.add_argument(
        "--keep-job-days",
        type=float,
        default=standard.days,
        metavar="DAYS",
        help="forget a job and its log this many days after its end (default "
        f"{standard.days:g}); results stay",
    )
    parser.add_argument(
        "--keep-jobs-mb",
        type=float,
        default=standard.megabytes,
        metavar="MB",
        help="forget the oldest ended jobs once all of them take more than this (default "
        f"{standard.megabytes:g}), but none of the last hour",
    )
    parser.add_argument(
        "--stall-after",
        type=int,
        default=600,
        metavar="SECONDS",
        help="exit with status 3 if the running job's loop has not moved for this long, so that a "
        "supervisor restarts the trainer; a job that does so again has failed (default 600)",
    )
    parser.add_argument(
        "--unload-after",
        type=float,
        default=15,
        metavar="MINUTES",
        help="free the backbone's memory after so long without a job; the next one loads it again "
        "(default 15; 0: never)",
    )
    parser.add_argument(
        "--metrics-port",
        type=parse_metrics_port,
        metavar="PORT",
        help="serve metrics for Prometheus at this port of 127.0.0.1, or at <host>:<port>",
    )
    parser.add_argument(
        "--insecure",
        action="store_true",
        help="serve TCP without TLS: anyone who reaches the port can use the trainer",
    )
    parser.add_argument("--tls-cert", type=Path, help="the server's certificate chain (PEM)")
    parser.add_argument("--tls-key", type=Path, help="its private key (PEM)")
    parser.add_argument(
        "--tls-client-ca",
        type=Path,
        help="require client certificates signed by this authority (PEM)",
    )
    options = parser.parse_args(arguments)
    for name in ("threads", "queue_length", "quarantine_after", "stall_after"):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f"--{name.replace('_', '-')}: {value} is not at least 1")
    for name in ("keep_job_days", "keep_jobs_mb"):
        value = getattr(options, name)
        if not (math.isfinite(value) and value > 0):
            parser.error(f"--{name.replace('_', '-')}: {value:g} is not a number above 0")
    if not (math.isfinite(options.unload_after) and options.unload_after >= 0):
        parser.error(f"--unload-after: {options.unload_after:g} is not a number of at least 0")
    if (options.tls_cert is None) != (options.tls_key is None):
        parser.error("--tls-cert and --tls-key go together")
    if options.tls_client_ca and not options.tls_cert:
        parser.error("--tls-client-ca needs --tls-cert and --tls-key")
    if options.listen.socket_path is None and not options.tls_cert and not options.insecure:
        parser.error(
            f"--listen {options.listen.text}: TCP needs --tls-cert and --tls-key, or an explicit "
            "--insecure"
        )
    return options


def torch_engine(options: argparse.Namespace) -> EngineLike:
    """The real engine. Imports torch, which takes seconds. Raises UnusableDevice."""
    import torch

    from sparse_adapter_engine.device.room import is_out_of_memory
    from sparse_adapter_engine.engine import Engine

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    device = choose_device(options.device, gpus, os.environ.get("CUDA_VISIBLE_DEVICES"))
    try:
        return Engine(options.root, device=device, threads=options.threads)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise UnusableDevice(
            f"{device} has no room for even a small model ({error}); `nvidia-smi` shows what uses "
            "it, --device chooses another"
        ) from error


async def serve(
    options: argparse.Namespace,
    credentials: grpc.ServerCredentials | None,
    make_engine: Callable[[argparse.Namespace], EngineLike],
) -> bool:
    """Serves until SIGTERM, SIGINT or SIGHUP. Returns whether the working thread has ended."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # nohup lets SIGHUP be ignored, and that stays so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    wrapper = asyncio.ensure_future(stop_with_wrapper(stop))
    worker = Worker(lambda: make_engine(options), options.unload_after * 60 or None)
    stopped = asyncio.ensure_future(stop.wait())
    loading = asyncio.wrap_future(worker.engine)
    both: list[asyncio.Future[Any]] = [stopped, loading]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        return False
    engine = await loading
    described = capabilities.describe(engine, options.root, options.queue_length)
    retention = Retention(options.keep_job_days, options.keep_jobs_mb)
    store = JobStore(options.state, options.queue_length, options.quarantine_after, retention)

    def describe_now() -> capabilities_pb2.Capabilities:
        return capabilities.with_memory_used(described, engine)

    servicer = TrainerServicer(
        store, described, options.root, worker.seconds_since_work, describe_now
    )
    artifacts = ArtifactServicer(options.root)
    server, health = build_server(servicer, artifacts)
    listening = options.listen.bind(server, credentials)
    await server.start()
    await set_serving(health)
    if options.metrics_port is not None:
        host, port = options.metrics_port
        serve_metrics(host, port, lambda: render(describe_now(), store, worker, artifacts))
    worker.start(store)
    watch_for_stall(worker, store, options.stall_after)
    device = described.devices[0]
    ready = {
        "listening": listening,
        "framework": described.framework,
        "version": described.framework_version,
    }
    print(json.dumps({**ready, "device": device.kind, "threads": device.threads}), flush=True)

    await stopped
    wrapper.cancel()
    await health.enter_graceful_shutdown()
    store.stop()
    servicer.stop()
    artifacts.stop()
    ended = await asyncio.to_thread(worker.join, STOP_JOB_SECONDS)
    await server.stop(CLOSE_CALLS_SECONDS)
    return ended


def main(
    arguments: list[str], make_engine: Callable[[argparse.Namespace], EngineLike] = torch_engine
) -> int:
    """Runs a trainer and returns its exit status."""
    options = parse(arguments)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    options.root = options.root.absolute()
    try:
        options.root.mkdir(parents=True, exist_ok=True)
        # All before torch is imported, so that what cannot be used fails at once.
        credentials = read_credentials(options)
        lock_or_refuse(options.state / "lock", f"the state folder {options.state}")
        options.listen.lock()
        ended = asyncio.run(serve(options, credentials, make_engine))
    except (CannotListen, BrokenState, UnusableDevice) as error:
        return fail(Explained(str(error), exit_status=2))
    except OSError as error:
        return fail(explain_system_error(error))
    except Exception as error:
        return fail(explain_fault(error))
    if not ended:
        # The working thread is inside the framework's own code: a normal exit of the interpreter
        # would wait for it or crash in it.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)
    return 0


def fail(explained: Explained) -> int:
    """Prints why the trainer ends and returns its exit status."""
    print(f"sparse_adapter_trainer: {explained.message}", file=sys.stderr)
    return explained.exit_status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
