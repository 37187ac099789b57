"""TLS on both sides for the town's Digital Post: certificates of its own making, and a server that asks for the
client's and tells the application whose it was."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from hub.demo.servers.digital_post_access import CERTIFICATE

_LIFE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM: the root, the server's, and those of two clients; the latter three with their key in them."""

    authority: Path
    server: Path
    client: Path
    stranger: Path


def make(folder: Path) -> Certificates:
    """Make them in `folder`, for a server on this machine."""
    key, root = _authority()
    made = Certificates(*(folder / f"{name}.pem" for name in ("authority", "server", "client", "stranger")))
    made.authority.write_bytes(root.public_bytes(Encoding.PEM))
    for file, use in (
        (made.server, ExtendedKeyUsageOID.SERVER_AUTH),
        (made.client, ExtendedKeyUsageOID.CLIENT_AUTH),
        (made.stranger, ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        _private(file, _leaf(file.stem, use, key, root))
    return made


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _authority() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Tovby root")
    use = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    root = (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(use, critical=True)
        .sign(key, SHA256())
    )
    return key, root


def _leaf(name: str, use: x509.ObjectIdentifier, issuer: ec.EllipticCurvePrivateKey, root: x509.Certificate) -> bytes:
    """A certificate and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        _builder(_name(name), root.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        .add_extension(names, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
        .sign(issuer, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM) + private


def _private(file: Path, content: bytes) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(content)


def config(app: ASGIApp, certificates: Certificates, **more: Any) -> uvicorn.Config:
    """A server on 127.0.0.1 that talks to nobody without a certificate from our root."""
    return uvicorn.Config(
        app,
        http=_TellsWhose,
        ssl_certfile=certificates.server,
        ssl_ca_certs=str(certificates.authority),
        ssl_cert_reqs=ssl.CERT_REQUIRED,
        **more,
    )


class _TellsWhose(H11Protocol):
    """uvicorn says nothing about certificates in its scope; the connection knows."""

    # asyncio's protocol takes any transport, and uvicorn's narrows it as we do.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        inner, der = self.app, transport.get_extra_info("ssl_object").getpeercert(binary_form=True)

        async def told(scope: Scope, receive: Receive, send: Send) -> None:
            scope[CERTIFICATE] = der
            await inner(scope, receive, send)

        self.app = told
