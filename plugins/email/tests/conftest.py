"""Mail servers to talk to: real ones over real sockets, each with a fault of its own where the test asks for it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tovholder_email import Email, EmailSettings

PASSWORD = "not a secret"


@dataclass
class Post:
    """What a mail server has, and how it answers. `answer_rcpt` and `answer_data` are SMTP answers; None takes."""

    mails: list[EmailMessage] = field(default_factory=list)
    to: list[str] = field(default_factory=list)
    answer_mail: str | None = None
    answer_rcpt: dict[str, str] = field(default_factory=dict)
    answer_data: str | None = None
    hangs_at: str | None = None
    breaks_off_after_data: bool = False
    tries: int = 0
    released: threading.Event = field(default_factory=threading.Event)

    async def _hang(self, at: str) -> None:
        while self.hangs_at == at and not self.released.is_set():
            await asyncio.sleep(0.02)

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, said: list[str]
    ) -> list[str]:
        await self._hang("ehlo")
        session.host_name = hostname
        return said

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.answer_mail:
            return self.answer_mail
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        await self._hang("rcpt")
        if address in self.answer_rcpt:
            return self.answer_rcpt[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        self.tries += 1
        if self.answer_data:
            return self.answer_data
        assert isinstance(envelope.content, bytes)
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.mails.append(parsed)
        self.to += envelope.rcpt_tos
        if self.breaks_off_after_data:
            assert server.transport is not None
            server.transport.abort()
        await self._hang("data")
        return "250 OK: queued"


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A self-signed certificate for `name`, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    whose = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    try:
        alternative: x509.GeneralName = x509.IPAddress(ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(whose)
        .issuer_name(whose)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert, private = folder / f"{name}.pem", folder / f"{name}.key"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert, private


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    folder = tmp_path_factory.mktemp("certificates")
    return {name: certificate(folder, name) for name in ("127.0.0.1", "elsewhere.example")}


@pytest.fixture
def post() -> Post:
    return Post()


Serve = Callable[..., EmailSettings]


@pytest.fixture
def serve(post: Post, certificates: dict[str, tuple[Path, Path]], tmp_path: Path) -> Iterator[Serve]:
    """Starts a mail server and gives the settings for it. `named`: the name on its certificate; None: it has none.
    `trusted`: whether its certificate is one of our roots."""
    running: list[Controller] = []

    def start(
        *,
        named: str | None = None,
        trusted: bool = True,
        tls: str | None = None,
        password: str | None = None,
        **more: object,
    ) -> EmailSettings:
        options: dict[str, object] = {}
        given: dict[str, object] = {"tls": tls or ("starttls" if named else "none"), "timeout_seconds": 5.0}
        if named:
            cert, key = certificates[named]
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            options["ssl_context" if given["tls"] == "tls" else "tls_context"] = context
            if trusted:
                given["authorities"] = cert
        if password is not None:
            file = tmp_path / "password"
            file.write_text(password)
            given |= {"user": "tovholder", "password_file": file}
            options |= {
                "auth_required": True,
                "authenticator": lambda _server, _session, _envelope, _mechanism, data: AuthResult(
                    success=data.password == PASSWORD.encode(), handled=False
                ),
            }
        controller = Controller(post, hostname="127.0.0.1", port=_free_port(), **options)  # type: ignore[arg-type]
        controller.start()
        running.append(controller)
        return EmailSettings.model_validate(
            {
                "host": "127.0.0.1",
                "port": controller.port,
                "sender": "koordinator@eksempel.example",
                "sender_name": "Eksempel Kommune",
                "hello": "hub.eksempel.example",
            }
            | given
            | more
        )

    yield start
    post.released.set()
    for controller in running:
        controller.stop(no_assert=True)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture
def mailer(serve: Serve) -> Email:
    return Email(serve())
