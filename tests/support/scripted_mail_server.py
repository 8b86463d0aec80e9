"""An SMTP server by aiosmtpd that answers as a test tells it, and keeps what it took. Certificates are made on the spot."""

from __future__ import annotations

import datetime as dt
import ipaddress
import queue
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from portal_sim.mail.inbox import ListeningController

HANG_UP = "hang up"
SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class ScriptedMailServer:
    """`recipients` and `letters` hold the next answers to RCPT and DATA (250 where there is none); `taken` what was taken."""

    def __init__(self) -> None:
        self.recipients: list[str] = []
        self.letters: list[str] = []
        self.taken: queue.Queue[bytes] = queue.Queue()
        self.connections = 0
        self.logins: list[tuple[bytes, bytes]] = []
        self.password = b""
        self.during_data = lambda: None
        self.port = 0

    def take(self) -> bytes:
        """Return the next letter. It was here before its sender heard of it."""
        return self.taken.get_nowait()

    def authenticate(self, _: Any, __: Any, ___: Any, ____: str, given: LoginPassword) -> AuthResult:
        self.logins.append((given.login, given.password))
        return AuthResult(success=given.password == self.password, handled=False)

    async def handle_EHLO(self, _: Any, session: Any, __: Any, hostname: str, responses: list[str]) -> list[str]:
        session.host_name = hostname
        self.connections += 1
        return responses

    async def handle_RCPT(self, _: Any, __: Any, envelope: Any, address: str, ___: Any) -> str:
        answer = self.recipients.pop(0) if self.recipients else "250 OK"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, _: Any, envelope: Any) -> str:
        self.during_data()
        answer = self.letters.pop(0) if self.letters else "250 OK"
        if answer == HANG_UP:
            server.transport.abort()
        elif answer.startswith("250"):
            self.taken.put(envelope.content)
        return answer


@contextmanager
def serving(server: ScriptedMailServer, port: int = 0, **options: Any) -> Iterator[ScriptedMailServer]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        server.port = listener.getsockname()[1]
        controller = ListeningController(server, listener, ready_timeout=60, server_hostname="localhost", **options)
        controller.start()
        try:
            yield server
        finally:
            controller.stop()


class Authority:
    """A certificate authority of the test: `file` is what its users trust."""

    def __init__(self, folder: Path) -> None:
        self._key, self._name = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string("CN=test CA")
        self._folder = folder
        self.file = folder / "ca.pem"
        basics = x509.BasicConstraints(ca=True, path_length=0)
        self.file.write_bytes(
            self._sign(self._name, self._key, (basics, True)).public_bytes(serialization.Encoding.PEM)
        )

    def server_context(self, host: str = "127.0.0.1") -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ) + self._sign(name, key, (names, False)).public_bytes(serialization.Encoding.PEM)
        file = self._folder / f"{host}.pem"
        file.write_bytes(pem)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)
        return context

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extension: tuple[x509.ExtensionType, bool]
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        own, issuers = (x509.SubjectKeyIdentifier.from_public_key(k.public_key()) for k in (key, self._key))
        of_issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuers)
        builder = x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - dt.timedelta(days=1),
            not_valid_after=now + dt.timedelta(days=1),
        )
        extensions = [extension, (own, False), (of_issuer, False), *([(SIGNS, True)] if key is self._key else [])]
        for one, critical in extensions:  # all that Python 3.13 asks for, by VERIFY_X509_STRICT
            builder = builder.add_extension(one, critical=critical)
        return builder.sign(self._key, hashes.SHA256())
