"""The bench's own CA and the portal's server certificate: made in a data folder, renewed there, trusted by who is told to.

Files are written so that a stop at any point leaves what the next start completes: keys first, then what is signed with them.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from portal_sim.key_files import ONLY_OURS
from portal_sim.keys import CA_YEARS, CERTIFIES, SIGNS, name, p256_key, serial, sign_certificate, utc
from wire.entropy import Entropy
from wire.errors import ConfigError
from wire.key_set import FOR_ALL, write_whole

CA, CA_KEY, CERTIFICATE, KEY = "tls-ca.pem", "tls-ca-key.pem", "tls-server.pem", "tls-server-key.pem"
SERVER_DAYS = 90
RENEW_DAYS = 30
"""A third of the life is left for whoever starts the portal seldom."""
ALWAYS = ("localhost", "127.0.0.1", "::1")
_DAY_S = 24 * 3600
_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
"""Of a host name, in lower case (RFC 1123 2.1)."""
_CIPHERS_OF_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Forward secret and authenticated alone (RFC 9325 4.2); TLS 1.3 has no others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Where the three PEM files are: the CA that clients trust, the server's certificate, its private key."""

    ca: Path
    certificate: Path
    key: Path


def bench_tls(folder: Path, hosts: Sequence[str], utc_s: int, entropy: Entropy) -> TlsFiles:
    """Return the files of a server that is reached by `hosts` (names, addresses; localhost always), made or renewed as needed.

    An address that means all of a machine's (0.0.0.0, ::) names no host and is left out. Raises `ConfigError` for a host that
    is neither name nor address, and for a file that is something else than what was written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = _names(hosts)
    ca_key = _key(folder / CA_KEY, entropy)
    ca = _ca(folder / CA, ca_key, utc_s, entropy)
    key = _key(folder / KEY, entropy)
    path = folder / CERTIFICATE
    found = _certificate(path)
    if found is None or not _serves(found, ca, key, names, utc_s):
        write_whole(path, _server(ca, ca_key, key, names, utc_s, entropy).public_bytes(Encoding.PEM), mode=FOR_ALL)
    return TlsFiles(ca=folder / CA, certificate=path, key=folder / KEY)


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Return a server's side: TLS 1.3, or 1.2 with forward secrecy; no compression. Raises `ConfigError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS_OF_1_2)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    try:
        context.load_cert_chain(files.certificate, files.key)
    except OSError as error:  # SSLError is one too
        raise ConfigError(
            f"the server's certificate and its key in {files.key.name} cannot be used: {error.strerror or error}",
            path=str(files.certificate),
        ) from None
    return context


def _names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    """Return hosts as alternative names (RFC 5280 4.2.1.6), each once, in an order that does not depend on the caller's."""
    found: set[x509.GeneralName] = set()
    for host in (*hosts, *ALWAYS):
        try:
            address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]").partition("%")[0])
        except ValueError:
            found.add(x509.DNSName(_host_name(host)))
        else:
            if not address.is_unspecified:
                found.add(x509.IPAddress(address))
    return sorted(found, key=repr)


def _host_name(host: str) -> str:
    """Return a name as it stands in a certificate: ASCII (RFC 5890), lower case."""
    try:
        plain = host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        plain = ""
    if not all(map(_LABEL.fullmatch, plain.split("."))) or len(plain) > 253:
        raise ConfigError(f"{host!r} is neither a host's name nor an IP address; write it as in portal.example")
    return plain


def _key(path: Path, entropy: Entropy) -> ec.EllipticCurvePrivateKey:
    """Return the key in a file, made where there is none."""
    data = _read(path)
    if data is None:
        made = p256_key(entropy)
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_whole(path, pem, mode=ONLY_OURS)
        return made
    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ConfigError("this is not a P-256 private key: move the file away, and a new one is made", path=str(path))
    if path.stat().st_mode & 0o077:
        path.chmod(ONLY_OURS)
    return key


def _certificate(path: Path) -> x509.Certificate | None:
    data = _read(path)
    if data is None:
        return None
    try:
        return x509.load_pem_x509_certificate(data)
    except ValueError:
        raise ConfigError(
            "this is not a certificate: move the file away, and a new one is made", path=str(path)
        ) from None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", path=str(path)) from None


def _valid_until(certificate: x509.Certificate, utc_s: int, days_left: int) -> bool:
    """Whether a certificate is valid now and for so many days."""
    return (
        certificate.not_valid_before_utc
        <= utc(utc_s)
        <= certificate.not_valid_after_utc - (utc(days_left * _DAY_S) - utc(0))
    )


def _ca(path: Path, key: ec.EllipticCurvePrivateKey, utc_s: int, entropy: Entropy) -> x509.Certificate:
    """Return the CA's certificate; made anew, with the same key, before it ends ahead of what it signs."""
    found = _certificate(path)
    if found is not None:
        if found.public_key() != key.public_key():
            raise ConfigError(
                f"this CA and the key in {CA_KEY} are not of one pair: move both away, and new ones are made",
                path=str(path),
            )
        if _valid_until(found, utc_s, SERVER_DAYS):
            return found
    subject = name("sgw-bench portal CA")
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        _builder(subject, subject, key, utc_s, CA_YEARS * 365, entropy)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(CERTIFIES, critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )
    made = sign_certificate(builder, key)
    write_whole(path, made.public_bytes(Encoding.PEM), mode=FOR_ALL)
    return made


def _serves(
    found: x509.Certificate,
    ca: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    names: list[x509.GeneralName],
    utc_s: int,
) -> bool:
    """Whether a server's certificate does for these names, for long enough, under this CA and with this key."""
    try:
        found.verify_directly_issued_by(ca)
        stands_for = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except Exception:  # noqa: BLE001 - whatever is wrong with it, a new one is right
        return False
    return (
        found.public_key() == key.public_key()
        and sorted(stands_for, key=repr) == names
        and _valid_until(found, utc_s, RENEW_DAYS)
    )


def _server(
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    key: ec.EllipticCurvePrivateKey,
    names: list[x509.GeneralName],
    utc_s: int,
    entropy: Entropy,
) -> x509.Certificate:
    issuer_key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    builder = (
        _builder(name("sgw-bench portal"), ca.subject, key, utc_s, SERVER_DAYS, entropy)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(SIGNS, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(issuer_key_id, critical=False)
    )
    return sign_certificate(builder, ca_key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, utc_s: int, days: int, entropy: Entropy
) -> x509.CertificateBuilder:
    """Return what every certificate says; valid from a day before `utc_s`, for clocks that are behind."""
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key.public_key(),
        serial_number=serial(entropy),
        not_valid_before=utc(utc_s - _DAY_S),
        not_valid_after=utc(utc_s + days * _DAY_S),
    )
