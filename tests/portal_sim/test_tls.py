"""The bench CA and the portal's certificate. Judges: OpenSSL's verifier, strict as Python 3.13's, and real handshakes."""

from __future__ import annotations

import random
import ssl
import subprocess
import warnings
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509

from portal_sim.web import tls
from portal_sim.web.tls import TlsFiles, bench_tls, server_context
from wire.clock import VIRTUAL_EPOCH_UTC_S, system_utc_s
from wire.entropy import SeededEntropy
from wire.errors import ConfigError
from wire.portal_trust import PORTAL_CA, trust

NOW_S = VIRTUAL_EPOCH_UTC_S
DAY_S = 24 * 3600
HOSTS = ("portal.example", "192.0.2.7")


def made(folder: Path, hosts: Sequence[str] = HOSTS, utc_s: int = NOW_S, seed: int = 1) -> TlsFiles:
    return bench_tls(folder, hosts, utc_s, SeededEntropy(random.Random(seed)))


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ---- the judges


@pytest.mark.parametrize(
    "names",
    [
        *(("-verify_hostname", name) for name in ("portal.example", "localhost")),
        *(("-verify_ip", address) for address in ("192.0.2.7", "127.0.0.1", "::1")),
    ],
)
def test_openssl_accepts_the_certificate_strictly_and_for_each_host(tmp_path: Path, names: tuple[str, str]) -> None:
    files = made(tmp_path)
    line = ("openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-attime", str(NOW_S), *names)
    done = subprocess.run([*line, "-CAfile", files.ca, files.certificate], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_openssl_refuses_it_for_another_host(tmp_path: Path) -> None:
    files = made(tmp_path)
    line = ("openssl", "verify", "-verify_hostname", "other.example", "-attime", str(NOW_S), "-CAfile", files.ca)
    done = subprocess.run([*line, files.certificate], capture_output=True, text=True, check=False)
    assert "ostname mismatch" in done.stderr


def shaken(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> ssl.SSLObject:
    """Return the client's end of a handshake over memory; raises what either end raises."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    open_ends = list(ends)
    for _ in range(10):
        for end in list(open_ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            open_ends.remove(end)
    assert not open_ends
    return ends[0]


def strict(files: TlsFiles) -> ssl.SSLContext:
    """The default context of Python 3.13, on any version."""
    context = trust({PORTAL_CA: str(files.ca)})
    assert context is not None
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


@pytest.mark.parametrize("host", ["portal.example", "192.0.2.7", "localhost", "::1"])
def test_a_strict_client_that_trusts_the_ca_shakes_hands_by_tls_1_3(tmp_path: Path, host: str) -> None:
    files = made(tmp_path, utc_s=system_utc_s())
    end = shaken(strict(files), server_context(files), host)
    assert end.version() == "TLSv1.3"
    assert end.compression() is None


def test_a_client_of_tls_1_2_gets_forward_secrecy(tmp_path: Path) -> None:
    files = made(tmp_path, utc_s=system_utc_s())
    client = strict(files)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    end = shaken(client, server_context(files), "localhost")
    assert end.version() == "TLSv1.2"
    cipher = end.cipher()
    assert cipher is not None
    assert cipher[0].startswith("ECDHE-")


def test_tls_1_1_is_refused_by_the_server(tmp_path: Path) -> None:
    files = made(tmp_path, utc_s=system_utc_s())
    client = strict(files)
    client.set_ciphers("ALL:@SECLEVEL=0")  # without it the client would refuse to try
    with warnings.catch_warnings(action="ignore"):
        client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError) as refused:
        shaken(client, server_context(files), "localhost")
    assert refused.value.reason == "UNSUPPORTED_PROTOCOL"


@pytest.mark.parametrize("host", ["other.example", "192.0.2.8"])
def test_a_client_refuses_the_server_under_another_name(tmp_path: Path, host: str) -> None:
    files = made(tmp_path, utc_s=system_utc_s())
    with pytest.raises(ssl.SSLCertVerificationError, match=r"mismatch|not valid for"):
        shaken(strict(files), server_context(files), host)


def test_a_client_that_trusts_the_machine_or_another_bench_refuses(tmp_path: Path) -> None:
    files = made(tmp_path / "own", utc_s=system_utc_s())
    other = made(tmp_path / "other", utc_s=system_utc_s(), seed=2)
    for client in (ssl.create_default_context(), strict(other)):
        with pytest.raises(ssl.SSLCertVerificationError):
            shaken(client, server_context(files), "localhost")


# ---- what stays and what is renewed


def test_keys_are_for_their_owner_alone_and_nothing_is_left_beside(tmp_path: Path) -> None:
    files = made(tmp_path)
    assert set(contents(tmp_path)) == {tls.CA, tls.CA_KEY, tls.CERTIFICATE, tls.KEY}
    for key in (files.key, tmp_path / tls.CA_KEY):
        assert key.stat().st_mode & 0o777 == 0o600
        key.chmod(0o644)
    made(tmp_path)
    assert [path.stat().st_mode & 0o777 for path in (files.key, tmp_path / tls.CA_KEY)] == [0o600] * 2


def test_the_same_hosts_in_another_order_change_nothing(tmp_path: Path) -> None:
    made(tmp_path)
    before = contents(tmp_path)
    for hosts in (HOSTS, HOSTS[::-1], (*HOSTS, "LOCALHOST", "[::1]", "0.0.0.0", "::")):  # noqa: S104 - named, not bound
        made(tmp_path, hosts, NOW_S + 59 * DAY_S, seed=2)
        assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("hosts", "days"),
    [(HOSTS, 61), (HOSTS, 400), (HOSTS, -2), (("new.example",), 0), ((*HOSTS, "new.example"), 0), ((), 0)],
    ids=["30 days left", "expired", "clock put back", "other host", "one more", "one less"],
)
def test_a_certificate_that_no_longer_does_is_renewed_under_the_same_ca_key(
    tmp_path: Path, hosts: Sequence[str], days: int
) -> None:
    files = made(tmp_path)
    before, old = contents(tmp_path), certificate(files.certificate)
    made(tmp_path, hosts, NOW_S + days * DAY_S, seed=2)
    new = certificate(files.certificate)
    assert new.serial_number != old.serial_number
    new.verify_directly_issued_by(certificate(files.ca))
    kept = (tls.CA_KEY, tls.KEY) if days == -2 else (tls.CA_KEY, tls.KEY, tls.CA)
    assert all(before[name] == (tmp_path / name).read_bytes() for name in kept)


def test_the_ca_is_renewed_before_it_ends_ahead_of_what_it_signs(tmp_path: Path) -> None:
    files = made(tmp_path)
    old = certificate(files.ca)
    later_s = NOW_S + 3650 * DAY_S - 89 * DAY_S
    made(tmp_path, utc_s=later_s, seed=2)
    assert certificate(files.ca).public_key() == old.public_key()
    assert certificate(files.ca).not_valid_after_utc > certificate(files.certificate).not_valid_after_utc


@pytest.mark.parametrize("lost", [tls.CA, tls.CERTIFICATE, tls.KEY, (tls.CA, tls.CERTIFICATE)], ids=str)
def test_a_start_completes_what_a_stop_left_unwritten(tmp_path: Path, lost: str | tuple[str, ...]) -> None:
    files = made(tmp_path)
    for name in [lost] if isinstance(lost, str) else lost:
        (tmp_path / name).unlink()
    made(tmp_path, seed=2)
    certificate(files.certificate).verify_directly_issued_by(certificate(files.ca))
    server_context(files)


@pytest.mark.parametrize("name", [tls.CA, tls.CA_KEY, tls.CERTIFICATE, tls.KEY])
@pytest.mark.parametrize("content", [b"", b"\xff" * 50, b"-----BEGIN X-----\n-----END X-----\n"])
def test_a_file_that_is_something_else_is_named_and_left(tmp_path: Path, name: str, content: bytes) -> None:
    made(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match="move the file away, and a new one is made") as wrong:
        made(tmp_path)
    assert wrong.value.path == str(tmp_path / name)
    assert (tmp_path / name).read_bytes() == content


def test_a_ca_without_its_key_is_not_replaced_in_silence(tmp_path: Path) -> None:
    made(tmp_path)
    before = (tmp_path / tls.CA).read_bytes()
    (tmp_path / tls.CA_KEY).unlink()
    with pytest.raises(ConfigError, match="not of one pair: move both away"):
        made(tmp_path, seed=2)
    assert (tmp_path / tls.CA).read_bytes() == before


@pytest.mark.parametrize(
    "host", ["", "a b", "http://portal.example", "-x.example", "x..example", "x" * 64, "*.example"]
)
def test_what_is_no_host_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError, match="neither a host's name nor an IP address"):
        made(tmp_path, [host])


def test_a_name_beyond_ascii_is_written_as_the_network_writes_it(tmp_path: Path) -> None:
    files = made(tmp_path, ["Bücher.example"])
    names = certificate(files.certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "xn--bcher-kva.example" in names.get_values_for_type(x509.DNSName)


def test_a_certificate_and_a_key_that_do_not_belong_together_are_told_in_plain_words(tmp_path: Path) -> None:
    files, other = made(tmp_path / "a"), made(tmp_path / "b", seed=2)
    with pytest.raises(ConfigError, match=r"certificate and its key in .* cannot be used"):
        server_context(TlsFiles(ca=files.ca, certificate=files.certificate, key=other.key))
    with pytest.raises(ConfigError, match="cannot be used"):
        server_context(TlsFiles(ca=files.ca, certificate=tmp_path / "none.pem", key=files.key))


# ---- the client's side


def test_where_no_ca_is_named_the_machine_decides() -> None:
    assert trust({}) is None
    assert trust({PORTAL_CA: ""}) is None


@pytest.mark.parametrize(
    "content", [None, b"", b"garbage", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_ca_that_cannot_be_used_is_named_with_what_to_do(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"name the tls-ca\.pem of the portal's data folder") as wrong:
        trust({PORTAL_CA: str(path)})
    assert (wrong.value.path, wrong.value.key) == (str(path), PORTAL_CA)


def test_the_client_checks_names_and_demands_a_certificate(tmp_path: Path) -> None:
    context = trust({PORTAL_CA: str(made(tmp_path).ca)})
    assert context is not None
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert len(context.get_ca_certs()) == 1
