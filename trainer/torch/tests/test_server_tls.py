"""TCP with TLS, and with client certificates."""

import shutil
import subprocess
from pathlib import Path

import grpc
import pytest
from server_support import command, short_folder, tiny_trainer
from sparse_adapter.trainer.v1 import trainer_pb2, trainer_pb2_grpc

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not on PATH, which makes the certificates")


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_certificates(folder: Path) -> None:
    """An authority, and a certificate of it for a server on localhost and for a client."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority")
    for name in ("server", "client"):
        (folder / f"{name}.ext").write_text("subjectAltName=DNS:localhost")
        openssl(folder, "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext"]
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signing)


def framework(address: str, credentials: grpc.ChannelCredentials) -> str:
    with grpc.secure_channel(address, credentials) as channel:
        stub = trainer_pb2_grpc.TrainerServiceStub(channel)
        return stub.GetCapabilities(trainer_pb2.GetCapabilitiesRequest(), timeout=5).capabilities.framework


def test_a_trainer_with_a_client_authority_serves_those_with_its_certificate_only():
    with short_folder() as folder:
        make_certificates(folder)
        read = {path.name: path.read_bytes() for path in folder.iterdir()}
        tls = ["--tls-cert", f"{folder}/server.pem", "--tls-key", f"{folder}/server.key", "--tls-client-ca", f"{folder}/ca.pem"]
        with tiny_trainer("done", folder, "--listen", "localhost:0", *tls) as trainer:
            address = str(trainer.ready["listening"])
            known = grpc.ssl_channel_credentials(read["ca.pem"], read["client.key"], read["client.pem"])
            assert framework(address, known) == "torch"
            for stranger in (grpc.ssl_channel_credentials(read["ca.pem"]), grpc.ssl_channel_credentials()):
                with pytest.raises(grpc.RpcError) as error:
                    framework(address, stranger)
                assert error.value.code() == grpc.StatusCode.UNAVAILABLE


def test_a_certificate_that_is_not_there_is_named():
    with short_folder() as folder:
        arguments = command("done", folder, "--listen", "localhost:0", "--tls-cert", f"{folder}/no.pem", "--tls-key", f"{folder}/no.key")
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 2
        assert f"{folder}/no.key" in done.stderr
