"""Certificates: which are trusted, and that a server with another one was never asked anything."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mmconsole.domain.accounts import AccountId
from mmconsole.domain.secrets import Secret
from mmconsole.errors import Unreachable
from mmconsole.mattermost import open_client

ANN = AccountId("a" * 26)
BODY = b'{"id": "aaaaaaaaaaaaaaaaaaaaaaaaaa", "username": "ann"}'
ANSWER = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


def opening(url: str) -> Any:
    return open_client(url, Secret("a" * 26))


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for localhost, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "localhost.pem"
    file.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file


@pytest.fixture
async def tls_url(certificate: Path) -> AsyncIterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    yield f"https://localhost:{listener.sockets[0].getsockname()[1]}"
    listener.close()
    await listener.wait_closed()


async def test_a_certificate_of_nobody_is_refused(tls_url: str) -> None:
    async with opening(tls_url) as client:
        with pytest.raises(Unreachable, match="its certificate is not trusted: self-signed certificate") as caught:
            await client.create_token(ANN, description="d")

    assert type(caught.value) is Unreachable


async def test_a_certificate_for_another_name_is_refused(
    tls_url: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async with opening(tls_url.replace("localhost", "127.0.0.1")) as client:
        with pytest.raises(Unreachable, match="its certificate is not trusted"):
            await client.account(ANN)


async def test_ssl_cert_file_is_honoured(tls_url: str, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async with opening(tls_url) as client:
        assert (await client.account(ANN)).username == "ann"


async def test_a_server_that_speaks_no_tls_is_unreachable() -> None:
    async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with (
        await asyncio.start_server(speak_http, "127.0.0.1", 0) as listener,
        opening(f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}") as client,
    ):
        with pytest.raises(Unreachable, match="does not speak TLS"):
            await client.account(ANN)
