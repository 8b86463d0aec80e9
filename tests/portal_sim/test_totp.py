"""One-time codes: the vectors of RFC 6238 and RFC 4226, pyotp as a second opinion, the URI in the QR code."""

from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal_sim.totp import hotp, matching_step, otpauth_uri, step_of

# RFC 6238 Appendix B; the secrets are as long as the hash (RFC 6238 errata 2866)
SECRETS = {"SHA1": b"1234567890" * 2, "SHA256": (b"1234567890" * 4)[:32], "SHA512": (b"1234567890" * 7)[:64]}
RFC_6238 = [
    (59, "94287082", "46119246", "90693936"),
    (1111111109, "07081804", "68084774", "25091201"),
    (1111111111, "14050471", "67062674", "99943326"),
    (1234567890, "89005924", "91819424", "93441116"),
    (2000000000, "69279037", "90698825", "38618901"),
    (20000000000, "65353130", "77737706", "47863826"),
]
RFC_4226 = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]


@pytest.mark.judge("RFC 6238")
@pytest.mark.parametrize("algorithm", SECRETS)
@pytest.mark.parametrize(("utc_s", "sha1", "sha256", "sha512"), RFC_6238)
def test_the_vectors_of_rfc_6238_appendix_b(utc_s: int, algorithm: str, sha1: str, sha256: str, sha512: str) -> None:
    expected = {"SHA1": sha1, "SHA256": sha256, "SHA512": sha512}[algorithm]
    assert hotp(SECRETS[algorithm], step_of(utc_s), digits=8, algorithm=algorithm) == expected


@pytest.mark.judge("RFC 4226")
@pytest.mark.parametrize(("counter", "code"), list(enumerate(RFC_4226)))
def test_the_vectors_of_rfc_4226_appendix_d(counter: int, code: str) -> None:
    assert hotp(SECRETS["SHA1"], counter) == code


@pytest.mark.judge("pyotp")
@given(secret=st.binary(min_size=16, max_size=64), utc_s=st.integers(min_value=0, max_value=2**40))
def test_codes_are_those_of_pyotp(secret: bytes, utc_s: int) -> None:
    app = pyotp.parse_uri(otpauth_uri(secret, issuer="SGW Bench", account="tessa@workshop.example"))
    assert hotp(secret, step_of(utc_s)) == app.generate_otp(utc_s // 30)
    assert matching_step(secret, app.generate_otp(utc_s // 30), utc_s, steps_back=0) == utc_s // 30


@pytest.mark.parametrize(("steps_away", "accepted"), [(-3, False), (-2, False), (-1, True), (0, True), (1, False)])
@pytest.mark.parametrize("second_of_the_step", [0, 29])
def test_a_code_counts_in_its_step_and_in_the_one_after_it(
    steps_away: int, accepted: bool, second_of_the_step: int
) -> None:
    utc_s = 1_767_225_600 + second_of_the_step
    step = utc_s // 30 + steps_away
    found = matching_step(SECRETS["SHA1"], hotp(SECRETS["SHA1"], step), utc_s, steps_back=1)
    assert found == (step if accepted else None)


@pytest.mark.parametrize(
    "code", ["", "12345", "1234567", "abcdef", "\uff16" * 6, "\u0664" * 6, "\0" * 6, "\ud800", "1" * 10_000]
)
def test_text_that_is_no_code_matches_no_step(code: str) -> None:
    assert matching_step(SECRETS["SHA1"], code, 59, steps_back=1) is None


@pytest.mark.parametrize("utc_s", [0, 29])
def test_the_first_step_of_all_time_has_no_step_before_it(utc_s: int) -> None:
    assert matching_step(SECRETS["SHA1"], "755224", utc_s, steps_back=1) == 0
    assert matching_step(SECRETS["SHA1"], "000000", utc_s, steps_back=1) is None


def test_the_uri_is_written_as_every_app_reads_it() -> None:
    uri = otpauth_uri(SECRETS["SHA1"], issuer="SGW Bench", account="tessa@workshop.example")
    assert uri == (
        "otpauth://totp/SGW%20Bench:tessa@workshop.example?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
        "&issuer=SGW%20Bench&algorithm=SHA1&digits=6&period=30"
    )


@pytest.mark.judge("pyotp")
@given(
    secret=st.binary(min_size=16, max_size=40),
    issuer=st.sampled_from(["SGW Bench", "Größer & Söhne", "A:B", "a+b", "50%/#?"]),
    account=st.sampled_from(["tessa@workshop.example", "a+b@c.example", "ä ö@ü.example", "x&y=z@w.example"]),
)
def test_pyotp_reads_the_uri(secret: bytes, issuer: str, account: str) -> None:
    uri = otpauth_uri(secret, issuer=issuer, account=account)
    query = parse_qs(urlsplit(uri).query, strict_parsing=True)
    assert "+" not in uri
    assert all(len(values) == 1 for values in query.values())
    assert {key: query[key] for key in ("algorithm", "digits", "period")} == {
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": ["30"],
    }
    assert "=" not in query["secret"][0]
    if ":" not in issuer:  # pyotp splits the label at the decoded colon
        app = pyotp.parse_uri(uri)
        assert (app.issuer, app.name) == (issuer, account)
        assert app.byte_secret() == secret
