"""The authenticator app: reads the QR code's URI strictly, shows codes by the phone's own clock, waits for a new one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal_sim.totp import otpauth_uri
from vci_driver.authenticator import Authenticator, OtpauthError, parse_otpauth
from wire.clock import NS_PER_S, VIRTUAL_EPOCH_UTC_S, WallClock
from wire.errors import LocalMisuse
from wire.world import World

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # "12345678901234567890", the secret of RFC 4226 and RFC 6238
QUERY = f"secret={SECRET}&issuer=SGW%20Bench&algorithm=SHA1&digits=6&period=30"
URI = f"otpauth://totp/SGW%20Bench:tessa@workshop.example?{QUERY}"


def phone(**clock: int) -> Authenticator:
    return Authenticator(URI, WallClock(**clock))


# ---- the URI


@pytest.mark.parametrize(
    "uri",
    [
        URI,
        URI.replace("Bench:", "Bench%3A"),
        URI.replace("Bench:", "Bench%3a"),
        URI.replace("Bench:", "Bench:%20"),
        URI.replace("tessa@", "tessa%40"),
        f"otpauth://totp/SGW%20Bench:tessa@workshop.example?issuer=SGW%20Bench&secret={SECRET}",
        URI.replace("otpauth", "OTPAUTH"),
    ],
)
def test_a_uri_that_every_app_reads_is_read(uri: str) -> None:
    app = Authenticator(uri, WallClock())
    assert (app.issuer, app.account) == ("SGW Bench", "tessa@workshop.example")
    assert parse_otpauth(uri) == ("SGW Bench", "tessa@workshop.example", SECRET)


@given(
    secret=st.binary(min_size=16, max_size=40),
    issuer=st.sampled_from(["SGW Bench", "Größer & Söhne", "A:B", "a+b", "50%/#?"]),
    account=st.sampled_from(["tessa@workshop.example", "a+b@c.example", "ä@ü.example", "x&y=z@w.example"]),
)
def test_the_portals_uri_is_read(secret: bytes, issuer: str, account: str) -> None:
    assert parse_otpauth(otpauth_uri(secret, issuer=issuer, account=account))[:2] == (issuer, account)


MALFORMED = [
    ("", "not an otpauth URI"),
    ("hello", "not an otpauth URI"),
    (URI.replace("otpauth", "https"), "not an otpauth URI"),
    (URI.replace("totp", "hotp"), "only totp"),
    ("otpauth://[totp/A:b?" + QUERY, "not an otpauth URI"),
    (URI.replace("SGW%20Bench:", ""), "not issuer:account"),
    (URI.replace("tessa@workshop.example", ""), "not issuer:account"),
    (URI.replace("SGW%20Bench:", ":"), "not issuer:account"),
    (URI.replace("issuer=SGW%20Bench", "issuer=Other"), "must be the same"),
    (URI.replace("&issuer=SGW%20Bench", ""), "must be the same"),
    (URI.replace("issuer=SGW%20Bench", "issuer=SGW+Bench"), "must be the same"),
    (URI.replace(f"secret={SECRET}&", ""), "no secret"),
    (URI.replace(SECRET, ""), "no secret"),
    (URI.replace(SECRET, SECRET[:26] + "======"), "padded"),
    (URI.replace(SECRET, SECRET.lower()), "not base32"),
    (URI.replace(SECRET, SECRET[:-1] + "1"), "not base32"),
    (URI.replace(SECRET, SECRET[:-2]), "not base32"),
    (URI.replace(SECRET, "\u00fc" + SECRET), "not base32"),
    (URI.replace(SECRET, SECRET[:24]), "at least 16"),
    (URI.replace("SHA1", "SHA256"), "algorithm=SHA256"),
    (URI.replace("digits=6", "digits=8"), "digits=8"),
    (URI.replace("period=30", "period=60"), "period=60"),
    (URI + "&period=30", "twice"),
    (URI + f"&secret={SECRET}", "twice"),
    (URI + "&counter=1", "unknown parameter 'counter'"),
    (URI + "&image=x", "unknown parameter 'image'"),
]


@pytest.mark.parametrize(("uri", "problem"), MALFORMED)
def test_a_malformed_uri_is_refused_and_the_error_says_why(uri: str, problem: str) -> None:
    with pytest.raises(OtpauthError, match=problem) as refusal:
        Authenticator(uri, WallClock())
    assert SECRET[:12] not in str(refusal.value)


@pytest.mark.parametrize("scanned", [SECRET, f"otpauth:{SECRET}", f"otpauth://{SECRET}", f"otpauth://totp/{SECRET}"])
def test_a_secret_that_was_scanned_or_typed_by_itself_is_not_repeated_in_the_error(scanned: str) -> None:
    with pytest.raises(OtpauthError) as refusal:
        Authenticator(scanned, WallClock())
    assert SECRET[:8].lower() not in str(refusal.value).lower()


@given(
    uri=st.one_of(
        st.text(max_size=40),
        st.text(max_size=20).map("otpauth://totp/".__add__),
        st.builds(lambda at, part: URI[:at] + part + URI[at:], st.integers(0, len(URI)), st.text(max_size=4)),
    )
)
def test_no_text_raises_anything_but_the_documented_error(uri: str) -> None:
    try:
        issuer, account, secret = parse_otpauth(uri)
    except OtpauthError:
        return
    assert issuer
    assert account
    assert len(secret) >= 26


# ---- the clock


@pytest.mark.judge("RFC 6238")
@pytest.mark.parametrize(
    ("utc_s", "code"),
    [
        (59, "287082"),  # RFC 6238 Appendix B, the last six of its eight digits
        *((1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924")),
        *((2000000000, "279037"), (20000000000, "353130")),
    ],
)
def test_the_phone_shows_the_codes_of_rfc_6238(utc_s: int, code: str) -> None:
    assert phone(epoch_utc_s=0).code(utc_s * NS_PER_S) == code
    assert phone(epoch_utc_s=utc_s).code(0) == code


@pytest.mark.parametrize("steps", [-2, -1, 1, 2])
def test_a_clock_that_is_off_shows_the_code_of_another_step(steps: int) -> None:
    now_ns = 1_000 * NS_PER_S
    assert phone(offset_s=30 * steps).code(now_ns) == phone().code(now_ns + 30 * steps * NS_PER_S)
    assert phone(offset_s=30 * steps).step(now_ns) == phone().step(now_ns) + steps


def test_a_clock_that_drifts_comes_off_with_time() -> None:
    day_ns = 86_400 * NS_PER_S
    slow = phone(drift_ppm=-1000)  # 86 s in a day
    assert slow.code(0) == phone().code(0)
    assert phone().step(day_ns) - slow.step(day_ns) == 3


def test_a_clock_that_was_never_set_shows_the_codes_of_the_time_it_believes() -> None:
    dead_battery = Authenticator(URI, WallClock(epoch_utc_s=0, is_set=False))
    assert dead_battery.code(59 * NS_PER_S) == "287082"


def test_a_clock_before_1970_shows_no_codes_and_says_so() -> None:
    with pytest.raises(LocalMisuse, match="1970"):
        phone(offset_s=-VIRTUAL_EPOCH_UTC_S - 1).code(0)


@pytest.mark.parametrize(("second", "left"), [(0, 30), (1, 29), (29, 1), (30, 30), (59, 1)])
def test_the_app_knows_how_long_a_code_is_still_shown(second: int, left: int) -> None:
    app = phone()
    assert app.seconds_until_next_step(second * NS_PER_S) == left
    assert app.code(second * NS_PER_S) == app.code((second + left) * NS_PER_S - 1)
    assert app.step((second + left) * NS_PER_S) == app.step(second * NS_PER_S) + 1


# ---- a code that was not used before


def test_the_first_code_is_there_at_once_and_the_next_when_the_digits_change() -> None:
    world, app = World(), phone()
    world.run_for(7 * NS_PER_S)
    first = app.fresh_code(world)
    assert (first, world.now_ns) == (app.code(7 * NS_PER_S), 7 * NS_PER_S)
    assert app.needs_new_step(world.now_ns)
    second = app.fresh_code(world)
    assert (second, world.now_ns) == (app.code(30 * NS_PER_S), 30 * NS_PER_S)
    world.run_for(31 * NS_PER_S)
    assert not app.needs_new_step(world.now_ns)
    app.fresh_code(world)
    assert world.now_ns == 61 * NS_PER_S


@pytest.mark.parametrize("drift_ppm", [-200_000, -100, 0, 100, 200_000])
@pytest.mark.parametrize("offset_s", [-45, 0, 45])
def test_no_step_is_used_twice_whatever_the_clock_does(drift_ppm: int, offset_s: int) -> None:
    world, app = World(), phone(drift_ppm=drift_ppm, offset_s=offset_s)
    steps = []
    for _ in range(10):
        app.fresh_code(world)
        steps.append(app.step(world.now_ns))
    assert steps == list(range(steps[0], steps[0] + 10))


def test_two_phones_with_one_secret_do_not_know_of_each_other() -> None:
    world, one, two = World(), phone(), phone()
    assert one.fresh_code(world) == two.fresh_code(world)
    assert world.now_ns == 0
