"""The server's certificate, its key, and the authority of its clients."""

import ssl
from argparse import Namespace
from pathlib import Path

import grpc

from .listening import CannotListen


def read_credentials(options: Namespace) -> grpc.ServerCredentials | None:
    """The server's TLS credentials, or None without TLS. Raises CannotListen naming the option."""
    if options.tls_cert is None:
        return None
    certificate = _read("--tls-cert", options.tls_cert)
    key = _read("--tls-key", options.tls_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without a password, which it would ask for in the terminal.
        context.load_cert_chain(options.tls_cert, options.tls_key, password=b"")
    except (ssl.SSLError, ValueError) as error:
        raise CannotListen(
            f"--tls-cert, --tls-key: {options.tls_cert} and {options.tls_key} are not a "
            f"certificate in PEM format and its key, without a password ({error})"
        ) from error
    if options.tls_client_ca is None:
        return grpc.ssl_server_credentials([(key, certificate)])
    authority = _read("--tls-client-ca", options.tls_client_ca)
    try:
        context.load_verify_locations(options.tls_client_ca)
    except ssl.SSLError as error:
        raise CannotListen(
            f"--tls-client-ca: {options.tls_client_ca} is not a certificate in PEM format ({error})"
        ) from error
    return grpc.ssl_server_credentials([(key, certificate)], authority, require_client_auth=True)


def _read(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CannotListen(f"{option}: cannot read {path}: {error.strerror}") from error
