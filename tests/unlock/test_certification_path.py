"""Path validation of RFC 5280 section 6: what a good chain may carry, in which order faults are told, what the back end issues,
and OpenSSL's word on the same chains.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from locked_unit import CertificateUnit
from portal_people import Counter, manager
from unlock_forge import (
    CERTIFIES,
    EPOCH_S,
    NOBODY_KNOWS,
    OTHER_VIN,
    SIGNS,
    ca,
    chain,
    flip,
    key_set,
    key_usage,
    keys,
    leaf,
    owner_key,
    root,
    sized,
)

from portal_sim.keys import name
from wire.diag_cert import CLAIMS_OID, decode_chain
from wire.portal_api import UnlockKind
from wire.token import Scope

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
UNKNOWN, DEMANDED = ((NOBODY_KNOWS, False),), ((NOBODY_KNOWS, True),)
CRITICAL_CLIENTS = ((x509.ExtendedKeyUsage([CLIENT]), True),)
SOME_NAMES = ((x509.NameConstraints([x509.DirectoryName(name("nobody"))], None), True),)
ROOT_NAME = keys().root_ca.subject


# ---- what a good chain may carry


@pytest.mark.parametrize(
    "changes",
    [
        {"extra": UNKNOWN},
        {"usage": key_usage("digital_signature", "key_agreement")},
        {"purposes": (SERVER, CLIENT)},
        {"purposes": None, "extra": CRITICAL_CLIENTS},
    ],
    ids=["unknown, not critical", "more uses", "more purposes", "critical purpose"],
)
def test_a_diagnostic_certificate_may_say_more(changes: dict[str, Any]) -> None:
    assert CertificateUnit().presented(chain(leaf(**changes))) == 0


@pytest.mark.parametrize(
    "changes",
    [{"extra": UNKNOWN}, {"usage": key_usage("key_cert_sign", "crl_sign")}, {"path_length": 0}, {"path_length": 3}],
    ids=["unknown, not critical", "more uses", "no CA below", "three CAs below"],
)
def test_a_ca_may_say_more(changes: dict[str, Any]) -> None:
    """Its path length counts the CAs below it: a diagnostic certificate is none."""
    assert CertificateUnit().presented(chain(leaf(), ca(**changes))) == 0


def trusting(trusted: x509.Certificate) -> CertificateUnit:
    unit = CertificateUnit()
    unit.trust.update(key_set(root_ca=trusted.public_bytes(Encoding.DER)))
    return unit


@pytest.mark.parametrize(("path_length", "nrc"), [(None, 0), (5, 0), (1, 0), (0, 0x52)])
def test_the_root_says_how_many_cas_may_follow(path_length: int | None, nrc: int) -> None:
    assert trusting(root(path_length=path_length)).presented() == nrc


def test_a_ca_of_the_roots_own_name_takes_no_room_in_the_path() -> None:
    """RFC 5280 section 6.1.4 l: self-issued certificates, as at a change of the root's key, are not counted."""
    field = chain(leaf(issuer=ROOT_NAME), ca(subject=ROOT_NAME))
    assert trusting(root(path_length=0)).presented(field) == 0


def test_of_the_root_only_name_key_and_path_length_count() -> None:
    """RFC 5280 section 6.1.1 d: whom to trust is decided where the root is installed."""
    assert trusting(root(usage=None, is_ca=None, extra=DEMANDED)).presented() == 0


# ---- in which order it is told


@pytest.mark.parametrize(
    "changes",
    [{"usage": None}, {"purposes": (SERVER,)}, {"extra": DEMANDED}, {"vin": OTHER_VIN}, {"scope": 0}],
    ids=["key usage", "purpose", "demand", "VIN", "scope"],
)
def test_nothing_about_the_certificate_is_told_before_its_signature_holds(changes: dict[str, Any]) -> None:
    assert CertificateUnit().presented(chain(leaf(**changes, signing_key=owner_key(9)))) == 0x51


@pytest.mark.parametrize(
    "changes", [{"usage": SIGNS}, {"extra": DEMANDED}, {"end_s": EPOCH_S - 1}], ids=["key usage", "demand", "end"]
)
def test_nothing_about_the_ca_is_told_before_the_roots_signature_holds(changes: dict[str, Any]) -> None:
    unit = CertificateUnit()
    assert unit.presented(chain(leaf(), ca(**changes, signing_key=owner_key(9)))) == 0x52
    assert unit.last.reason == "chain of trust"


def test_an_enhanced_certificate_is_held_to_the_same_use() -> None:
    unit = CertificateUnit()
    unit.unlock(chain(leaf(scope=Scope.CODING)))
    for changes, nrc in (({"purposes": (SERVER,)}, 0x53), ({"usage": CERTIFIES}, 0x53), ({"extra": DEMANDED}, 0x55)):
        field = chain(leaf(serial=2, scope=Scope.ROUTINES, **changes))
        assert unit.nrc(b"\x29\x04\x00\x01" + sized(field)) == nrc
    assert not unit.gate.allows(Scope.ROUTINES, unit.now_ns)


@pytest.mark.parametrize("bits", [b"\x03\x01\x00", b"\x03\x02\x00\x01", b"\x05\x00"], ids=["none", "encipher", "NULL"])
def test_a_key_usage_that_makes_no_sense_opens_nothing(bits: bytes) -> None:
    """No use at all, a use without the one it belongs to, and what is no bit string (RFC 5280 section 4.2.1.3)."""
    strange = x509.UnrecognizedExtension(x509.KeyUsage.oid, bits)
    assert CertificateUnit().presented(chain(leaf(usage=None, extra=((strange, True),)))) in (0x53, 0x54)
    assert CertificateUnit().presented(chain(leaf(), ca(usage=None, extra=((strange, True),)))) in (0x52, 0x54)


# ---- what the back end issues


def issued() -> bytes:
    counter = Counter()
    person = manager(counter)
    person.log_in()
    spki = owner_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    wish = {"kind": UnlockKind.CERTIFICATE, "make": "mercedes", "ecu_address": 0x7A0, "challenge": spki, "code": None}
    return person.ask(**wish).payload


def test_the_back_end_says_what_each_key_is_for() -> None:
    """RFC 5280 section 4.2.1.3 and 4.2.1.9: key usage and a CA's constraints are critical."""
    certificate, backend_ca = decode_chain(issued())
    assert backend_ca is not None
    for one, usage in ((certificate, SIGNS), (backend_ca, CERTIFIES), (keys().root_ca, CERTIFIES)):
        said = one.extensions.get_extension_for_class(x509.KeyUsage)
        assert (said.value, said.critical) == (usage, True)
        assert one.extensions.get_extension_for_class(x509.BasicConstraints).critical
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert list(purposes.value) == [CLIENT]
    lengths = [
        one.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
        for one in (certificate, backend_ca, keys().root_ca)
    ]
    assert lengths == [None, 0, 1]


def test_what_the_back_end_demands_is_its_own_claims_and_what_the_standard_has() -> None:
    certificate, _ = decode_chain(issued())
    demanded = {extension.oid for extension in certificate.extensions if extension.critical}
    assert demanded == {x509.BasicConstraints.oid, x509.KeyUsage.oid, CLAIMS_OID}


# ---- OpenSSL's word

openssl = shutil.which("openssl")
THE_CA_KEY = x509.SubjectKeyIdentifier.from_public_key(keys().ca_key.public_key())
THE_ROOT_KEY = x509.SubjectKeyIdentifier.from_public_key(keys().root_key.public_key())
OF_THE_ROOT_KEY = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(THE_ROOT_KEY)
OF_THE_CA_KEY = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(THE_CA_KEY)
"""Where two CAs have one name, OpenSSL finds the right one by these."""
PATHS: list[tuple[str, bool, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("good", True, {}, {}, {}),
    ("more uses", True, {"usage": key_usage("digital_signature", "key_agreement")}, {}, {}),
    ("not critical", True, {"extra": UNKNOWN}, {"extra": UNKNOWN}, {}),
    (
        "self-issued",
        True,
        {"issuer": ROOT_NAME, "extra": ((OF_THE_CA_KEY, False),)},
        {"subject": ROOT_NAME, "extra": ((THE_CA_KEY, False), (OF_THE_ROOT_KEY, False))},
        {"path_length": 0, "extra": ((THE_ROOT_KEY, False),)},
    ),
    ("path length", False, {}, {}, {"path_length": 0}),
    ("room for one", True, {}, {"path_length": 0}, {"path_length": 1}),
    ("CA signs data", False, {}, {"usage": SIGNS}, {}),
    ("CA is no CA", False, {}, {"is_ca": False}, {}),
    ("CA demand", False, {}, {"extra": DEMANDED}, {}),
    ("CA expired", False, {}, {"end_s": EPOCH_S - 1}, {}),
    ("CA unsigned", False, {}, {"signing_key": owner_key(9)}, {}),
    ("key certifies alone", False, {"usage": CERTIFIES}, {}, {}),
    ("for servers", False, {"purposes": (SERVER,)}, {}, {}),
    ("demand", False, {"extra": DEMANDED}, {}, {}),
    ("names forbidden", False, {}, {"extra": SOME_NAMES}, {}),
    ("other issuer", False, {"issuer": name("somebody else")}, {}, {}),
    ("unsigned", False, {"signing_key": owner_key(9)}, {}, {}),
    ("expired", False, {"end_s": EPOCH_S - 1}, {}, {}),
]


@pytest.mark.judge("OpenSSL")
@pytest.mark.skipif(openssl is None, reason="openssl is not installed")
@pytest.mark.parametrize(
    ("good", "first", "second", "third"), [row[1:] for row in PATHS], ids=[row[0] for row in PATHS]
)
def test_openssl_says_the_same_of_a_path(
    tmp_path: Path, good: bool, first: dict[str, Any], second: dict[str, Any], third: dict[str, Any]
) -> None:
    """OpenSSL cannot know our claims: it judges the leaf without them, for the purpose of a client."""
    assert (trusting(root(**third)).presented(chain(leaf(**first), ca(**second))) == 0) == good
    files = {"root": root(**third), "ca": ca(**second), "leaf": leaf(**first, without_claims=True)}
    for stem, certificate in files.items():
        (tmp_path / stem).write_bytes(certificate.public_bytes(Encoding.PEM))
    words = f"-attime {EPOCH_S} -purpose sslclient -no-CApath -CAfile root -untrusted ca leaf".split()
    done = subprocess.run([str(openssl), "verify", *words], cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert (done.returncode == 0) == good, done.stderr.decode()


# ---- a flipped bit above the leaf


def test_no_flipped_bit_of_the_ca_is_told_as_anything_but_its_format_or_the_chain() -> None:
    field = chain()
    begin = 8 * len(leaf().public_bytes(Encoding.DER))
    answers = {CertificateUnit().presented(flip(field, bit)) for bit in range(begin, 8 * len(field), 3)}
    assert answers == {0x52, 0x54}


def test_a_leafs_key_does_not_certify_even_if_its_usage_says_so() -> None:
    """A certificate that is no CA stays none, whatever its key usage claims (RFC 5280 section 4.2.1.9)."""
    first = leaf(usage=CERTIFIES)
    field = chain(leaf(issuer=first.subject, signing_key=owner_key(), serial=2), first)
    assert CertificateUnit().presented(field) == 0x52
