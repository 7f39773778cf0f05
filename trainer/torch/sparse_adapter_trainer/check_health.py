"""Asks a trainer whether it serves, for health checks of containers that listen with TLS:

    python -I isolated.py sparse_adapter_trainer.check_health HOST:PORT FOLDER

FOLDER has `ca.pem`, `cert.pem` and `key.pem`: the authority of the trainer's certificate, and a
client's certificate and key. Exits with 0 if the trainer serves, otherwise with 1 and the reason.
"""

import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

ANSWER_SECONDS = 5


def find_problem(address: str, folder: Path) -> str | None:
    """Why the trainer does not serve; None if it does."""
    try:
        authority, certificate, key = (
            (folder / name).read_bytes() for name in ("ca.pem", "cert.pem", "key.pem")
        )
    except OSError as error:
        return str(error)
    credentials = grpc.ssl_channel_credentials(authority, key, certificate)
    # A trainer of this host is never behind a proxy.
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.secure_channel(address, credentials, options) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        try:
            answer = health.Check(health_pb2.HealthCheckRequest(), timeout=ANSWER_SECONDS)
        except grpc.RpcError as error:
            return f"{address}: {error.code().name}: {error.details()}"
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return None
    return f"{address}: {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}"


def main(arguments: list[str]) -> int:
    """Checks what the arguments name and returns the exit status."""
    address, folder = arguments
    problem = find_problem(address, Path(folder))
    if problem is not None:
        print(problem, file=sys.stderr)
    return 0 if problem is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
