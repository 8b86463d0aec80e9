"""The shipped control units hold what the facts say; a wrong profile is told by file, line and key, with what to do."""

from pathlib import Path

import pytest
from ecu_bench import Ecu, S, refused
from hypothesis import given, settings
from hypothesis import strategies as st

from ecu_sim.profile import EcuProfile
from ecu_sim.profile_file import FOLDER, load_profile
from ecu_sim.unlock.certificate import CertificateOptions
from ecu_sim.unlock.sfd import SfdOptions
from ecu_sim.unlock.sfd2 import Sfd2Options
from wire.errors import ConfigError
from wire.token import Scope

VAG = {  # unit: address, request (domain facts, section 2), SFD or not
    "gateway": (0x19, 0x710, True),
    "engine": (0x01, 0x7E0, False),
    "gearbox": (0x02, 0x7E1, False),
    "brakes": (0x03, 0x713, True),
    "central-electrics": (0x09, 0x70E, True),
    "cluster": (0x17, 0x714, True),
    "airbag": (0x15, 0x715, True),
    "climate": (0x08, 0x746, False),
    "infotainment": (0x5F, 0x773, True),
}
MERCEDES = ("gateway", "engine", "gearbox", "brakes", "cluster", "airbag", "climate", "headunit")
SFD2 = ("gateway", "cluster", "airbag")
"""Units that are shipped with SFD2 as well, at the same addresses."""
UNITS = [f"vag/{name}" for name in VAG] + [f"mercedes/{name}" for name in MERCEDES]
IDENTIFICATION = (0xF187, 0xF189, 0xF190, 0xF191, 0xF197, 0xF19E)


def read(ecu: Ecu, did: int) -> bytes:
    head = did.to_bytes(2, "big")
    answer = bytes.fromhex(ecu.ask(b"\x22" + head))
    assert answer[:3] == b"\x62" + head
    return answer[3:]


# ---- what is shipped


def test_every_shipped_file_is_one_of_these_units() -> None:
    shipped = {str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.glob("*/[!_]*.yaml")}
    stage_1 = {f"mercedes-205/{name}" for name in MERCEDES}  # see test_signed_seed_profile
    assert shipped == {*UNITS, *stage_1, *(f"vag/{name}-sfd2" for name in SFD2)}


@pytest.mark.parametrize("name", SFD2)
def test_a_unit_with_sfd2_stands_where_it_stood_and_takes_no_write_that_comes_plain(name: str) -> None:
    profile, before = load_profile(f"vag/{name}-sfd2"), load_profile(f"vag/{name}")
    for key in ("address", "request_id", "response_id", "title"):
        assert getattr(profile, key) == getattr(before, key), key
    assert isinstance(profile.gate, Sfd2Options)
    ecu = Ecu(profile, locked=True).extended()
    for did in (did for did in profile.dids.values() if did.write is not None):
        request = b"\x2e" + did.did.to_bytes(2, "big") + bytes(len(did.value))
        assert ecu.ask(request) == refused(0x2E, 0x38), f"{did.did:X}"
    for rid in profile.routines:
        assert ecu.ask(b"\x31\x01" + rid.to_bytes(2, "big")) == refused(0x31, 0x38), f"{rid:X}"
    assert ecu.ask("27 03") == refused(0x27, 0x11)


LOCK = "gate: {scheme: sfd2}\n"
TAKES = "  2E:\n  84:\n"


def _sfd2(tmp_path: Path, *, services: str = TAKES, gate: str = LOCK, rest: str = "") -> EcuProfile:
    (tmp_path / "unit.yaml").write_text(
        "title: unit\naddress: 0x17\nrequest_id: 0x714\nresponse_id: 0x77E\nsessions: [1, 3]\n"
        f"services:\n  10:\n{services}{gate}{rest}"
    )
    return load_profile("unit.yaml", tmp_path)


def test_a_unit_of_ones_own_may_have_sfd2(tmp_path: Path) -> None:
    gate = "gate: {scheme: sfd2, secured_services: [0x2E, 0x11], nonce_lifetime: 1 min, min_role: 2}\n"
    profile = _sfd2(tmp_path, gate=gate, rest='dids:\n  "0600": {hex: "00", write: {secured: true}}\n')
    assert isinstance(profile.gate, Sfd2Options)
    assert profile.gate.secured_services == {0x2E, 0x11}
    assert profile.gate.nonce_lifetime_ns == 60 * S
    write = profile.dids[0x0600].write
    assert write is not None
    assert write.secured


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"gate": ""}, "services.84: service 84 needs a lock that verifies it"),
        ({"gate": "gate: {scheme: sfd}\n"}, "services.84: service 84 needs a lock that verifies it"),
        ({"services": "  2E:\n"}, "gate: each change comes through service 84"),
        (
            {
                "services": "  2E:\n",
                "gate": "gate: {scheme: sfd}\n",
                "rest": 'dids:\n  "0600": {hex: "00", write: {secured: true}}\n',
            },
            "dids.0600.write.secured: this unit has no service 84",
        ),
        (
            {
                "services": "  2E:\n",
                "gate": "gate: {scheme: sfd}\n",
                "rest": 'outputs:\n  "0B01": {value: "00", access: {secured: true}}\n',
            },
            "outputs.0B01.access.secured: this unit has no service 84",
        ),
        ({"services": "  2E: {access: {secured: true}}\n  84:\n"}, "services.2E.access.secured: what is secured is an"),
        (
            {"rest": 'session_rules:\n  "03": {access: {secured: true}}\n'},
            "session_rules.03.access.secured: what is secured is an",
        ),
        ({"gate": "gate: {scheme: sfd2, nonce_lifetime: 0 s}\n"}, "can never be opened"),
        ({"gate": "gate: {scheme: sfd2, secured_services: [0x1FF]}\n"}, "secured_services"),
        ({"gate": "gate: {scheme: sfd2, secured_service: [0x2E]}\n"}, "secured_services"),
        ({"gate": "gate: {scheme: sfd2, refusal_nrc: 1}\n"}, "locked_nrc"),
    ],
)
def test_a_lock_for_signed_changes_that_makes_no_sense_is_an_error_with_file_line_and_key(
    tmp_path: Path, changes: dict, said: str
) -> None:
    with pytest.raises(ConfigError, match=said.replace(".", r"\.")) as error:
        _sfd2(tmp_path, **changes)
    assert error.value.line is not None
    assert error.value.path.endswith("unit.yaml")


@pytest.mark.parametrize("name", UNITS)
def test_a_shipped_unit_identifies_itself_before_any_unlock(name: str) -> None:
    ecu = Ecu(load_profile(name), locked=True)
    for did in IDENTIFICATION:
        assert read(ecu, did).decode("ascii").isprintable()
    vin = read(ecu, 0xF190).decode()
    assert len(vin) == 17
    assert not set(vin) & set("IOQ"), "letters that a VIN does not have (ISO 3779)"
    assert len(read(ecu, 0x0600)) >= 2, "a coding"
    assert ecu.ask("19 02 FF").startswith("59 02")
    assert ecu.ask("10 03") == "50 03 00 32 01 F4"
    assert ecu.profile.timing.s3_ns == 5 * S


@pytest.mark.parametrize("brand", ["vag", "mercedes"])
def test_units_of_a_brand_share_vin_and_functional_address_and_nothing_else(brand: str) -> None:
    profiles = [load_profile(name) for name in UNITS if name.startswith(brand)]
    assert len({bytes(profile.dids[0xF190].value) for profile in profiles}) == 1
    for key in ("address", "request_id", "response_id", "title"):
        assert len({getattr(profile, key) for profile in profiles}) == len(profiles), key
    assert all({"vag": 0x700, "mercedes": 0x441}[brand] in profile.functional_ids for profile in profiles)
    for did in (0xF187, 0xF197, 0xF19E):
        assert len({profile.dids[did].value for profile in profiles}) == len(profiles), f"{did:X}"
    secrets = [level.secret for profile in profiles for level in profile.security.values()]
    assert len(set(secrets)) == len(secrets) >= len(profiles)


@pytest.mark.parametrize("name", VAG)
def test_volkswagen_units_stand_where_the_facts_say(name: str) -> None:
    address, request_id, sfd = VAG[name]
    profile = load_profile(f"vag/{name}")
    assert (profile.address, profile.request_id) == (address, request_id)
    assert profile.response_id == request_id + (8 if name in ("engine", "gearbox") else 0x6A)
    assert isinstance(profile.gate, SfdOptions) == sfd
    assert profile.padding == 0xAA
    assert (0x7DF in profile.functional_ids) == (name in ("engine", "gearbox")), "OBD"
    assert profile.dids[0x0600].requires_written == (0xF199, 0xF198)


def test_mercedes_has_one_lock_and_the_public_engine_address() -> None:
    profiles = {name: load_profile(f"mercedes/{name}") for name in MERCEDES}
    assert [name for name, profile in profiles.items() if profile.gate is not None] == ["gateway"]
    assert isinstance(profiles["gateway"].gate, CertificateOptions)
    assert profiles["gateway"].locked_nrc == 0x34
    assert (profiles["engine"].request_id, profiles["engine"].response_id) == (0x7E0, 0x7E8)


@pytest.mark.parametrize(("brand", "did"), [("vag", 0x2A26), ("mercedes", 0x04A1)])
def test_the_gateway_lists_the_installed_units(brand: str, did: int) -> None:
    profiles = [load_profile(name) for name in UNITS if name.startswith(brand)]
    installed = read(Ecu(load_profile(f"{brand}/gateway"), locked=True), did)
    assert sorted(installed) == sorted(profile.address for profile in profiles)


@pytest.mark.parametrize("name", [name for name in UNITS if load_profile(name).gate is not None])
def test_a_locked_unit_refuses_coding_output_tests_and_security_access(name: str) -> None:
    profile = load_profile(name)
    nrc = profile.locked_nrc
    ecu = Ecu(profile, locked=True, refusal_nrc=nrc).extended()
    coding = read(ecu, 0x0600)
    assert ecu.ask(b"\x2e\x06\x00" + coding) == refused(0x2E, nrc)
    assert ecu.ask("31 01 02 03") == refused(0x31, nrc)
    assert ecu.ask("27 03") == refused(0x27, nrc)
    assert ecu.gate is not None
    ecu.gate.opened = Scope.OUTPUT_TESTS | Scope.SECURITY_ACCESS
    assert ecu.ask(b"\x2e\x06\x00" + coding) == refused(0x2E, nrc)
    assert ecu.ask("31 01 02 03") == "71 01 02 03 01"
    ecu.open_level(3)


@pytest.mark.parametrize("name", UNITS)
def test_every_security_level_of_a_shipped_unit_can_be_opened(name: str) -> None:
    ecu = Ecu(load_profile(name)).extended()
    assert ecu.profile.security
    for level, rule in ecu.profile.security.items():
        ecu.server.enter_session(max(rule.sessions), ecu.now_ns)
        ecu.open_level(level)


def test_shipped_trouble_codes_are_read() -> None:
    assert Ecu(load_profile("vag/engine")).ask("19 02 FF") == "59 02 FF 02 99 00 09 03 00 00 08"


# ---- what is wrong

VALID = """\
title: 17 cluster
address: 0x17
request_id: 0x714
response_id: 0x77E
functional_ids: [0x700]
sessions: [1, 3]
services:
  10:
  22: {access: {sessions: [1, 3]}}
  27:
dids:
  F190: {text: WVWZZZ}
  "0600": {hex: "00 01", write: {sessions: [3], scope: coding, conditions: [stationary]}}
routines:
  "0203": {name: pointer test, duration: 10 s}
dtcs:
  "B10A15": {status: 0x08}
security:
  "03": {algorithm: hmac-sha256-8, secret: "00 01"}
timing: {p2: 50 ms}
gate: {scheme: sfd}
busy: refuse
"""


def load_text(folder: Path, text: str | bytes, **others: str) -> EcuProfile:
    for name, other in others.items():
        (folder / f"{name}.yaml").write_text(other)
    (folder / "unit.yaml").write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return load_profile("unit.yaml", folder)


def test_the_example_is_valid(tmp_path: Path) -> None:
    profile = load_text(tmp_path, VALID)
    assert (profile.name, profile.title, profile.address) == ("unit", "17 cluster", 0x17)
    assert profile.dids[0x0600].value == b"\x00\x01"
    assert profile.routines[0x0203].duration_ns == 10 * S


@pytest.mark.parametrize(
    ("old", "new", "key", "words"),
    [
        ("title:", "titel:", "titel", "did you mean 'title'"),
        ("status: 0x08", "state: 8", "dtcs.B10A15.state", "did you mean 'status'"),
        ("{p2: 50 ms}", "{p2star: 5 s}", "timing.p2star", "did you mean 'p2_star'"),
        ("title: 17 cluster", "title: 17", "title", "quotes"),
        ("address: 0x17", "address: cluster", "address", "whole number"),
        ("address: 0x17", "address: 0x10000", "address", "from 0 to 65535"),
        ("request_id: 0x714", "request_id: 0x17FC0014", "request_id", "0x97fc0014"),
        ("request_id: 0x714", "request_id: -1", "request_id", "from 0"),
        ("[0x700]", "0x700", "functional_ids", "list"),
        ("sessions: [1, 3]\n", "sessions: [1, 0x80]\n", "sessions[1]", "from 1 to 127"),
        ("  10:\n", "  BA:\n", "services.BA", "there are: 10, 11"),
        ("  10:\n", "  1G:\n", "services.1G", "hex"),
        ("  10:\n", "  10: [1]\n", "services.10", "mapping"),
        ("  10:\n", "  10: {sub_functions: [0x80]}\n", "services.10.sub_functions[0]", "from 0 to 127"),
        ("{access: {sessions: [1, 3]}}", "{sub_functions: [1]}", "services.22.sub_functions", "no choice"),
        ("  F190:", "  1F190:", "dids.1F190", "0 to FFFF"),
        ("  F190:", "  -1:", "dids.-1", "0 to FFFF"),
        ("  F190:", "  0xF190:", "dids.0xF190", "hex"),
        ('"0600"', '"f190"', "dids.f190", "twice"),
        ('"0600"', "F190", "dids.F190", "twice"),
        ("{text: WVWZZZ}", "{text: WVWZZZ, hex: '00'}", "dids.F190", "exactly one of text, hex, source"),
        ("{text: WVWZZZ}", "{name: VIN}", "dids.F190", "exactly one of text, hex, source"),
        ("{text: WVWZZZ}", "{text: Größe}", "dids.F190.text", "ASCII"),
        ("{text: WVWZZZ}", "{source: sped}", "dids.F190.source", "did you mean 'speed'"),
        ("{text: WVWZZZ}", "{source: speed, write: {}}", "dids.F190.write", "cannot be written"),
        ('hex: "00 01"', 'hex: "0"', "dids.0600.hex", "hex"),
        ('hex: "00 01"', "hex: 1", "dids.0600.hex", "quotes"),
        ("[stationary]", "[stationry]", "dids.0600.write.conditions[0]", "did you mean 'stationary'"),
        ("scope: coding", "scope: codings", "dids.0600.write.scope", "did you mean 'coding'"),
        ("scope: coding", "security: 4", "dids.0600.write.security", "odd"),
        ("scope: coding", "security: 0x05", "dids.0600.write.security", "no level 05 under 'security'; there are: 03"),
        ("{text: WVWZZZ}", "{text: W, read: {security: 5}}", "dids.F190.read.security", "no level 05"),
        ("{access: {sessions: [1, 3]}}", "{access: {security: 1}}", "services.22.access.security", "no level 01"),
        ("10 s}", "10 s, access: {security: 0x11}}", "routines.0203.access.security", "no level 11"),
        ("{sessions: [3], scope", "{security: yes, scope", "dids.0600.write.security", "whole number"),
        (
            'hex: "00 01"',
            "hex: '00', requires_written: [0xF199]",
            "dids.0600.requires_written[0]",
            "no identifier F199",
        ),
        ('hex: "00 01"', "hex: '00', requires_written: [0x600, 0xF190]", "dids.0600.requires_written[1]", "no 'write'"),
        ("sessions: [1, 3]\n", "sessions: [2, 3]\n", "sessions", "session 1"),
        ("sessions: [1, 3]\n", "sessions: []\n", "sessions", "session 1"),
        ("[0x700]", "[0x714]", "functional_ids[0]", "0x714 is request_id"),
        ("[0x700]", "[0x700, 0x77E]", "functional_ids[1]", "0x77e is response_id"),
        ("[0x700]", "[0x700, 0x700]", "functional_ids[1]", "0x700 is functional_ids[0]"),
        ("response_id: 0x77E", "response_id: 0x714", "response_id", "0x714 is request_id"),
        ('  "0203"', '  "10203"', "routines.10203", "0 to FFFF"),
        ("10 s}", "10}", "routines.0203.duration", "90 min"),
        ("10 s}", "10 sec}", "routines.0203.duration", "90 min"),
        ("10 s}", "-10 s}", "routines.0203.duration", "backwards"),
        ("10 s}", "1000 h}", "routines.0203.duration", "30 days"),
        ("10 s}", "10 s, stoppable: 1}", "routines.0203.stoppable", "true or false"),
        ('"B10A15"', '"1B10A15"', "dtcs.1B10A15", "FFFF"),
        ("0x08", "0x108", "dtcs.B10A15.status", "from 0 to 255"),
        ("{status: 0x08}", "{name: sensor}", "dtcs.B10A15", "missing key 'status'"),
        ('"03"', '"04"', "security.04", "odd"),
        ('"03"', '"7F"', "security.7F", "0 to 7D"),
        ("hmac-sha256-8", "hmac-sha256", "security.03.algorithm", "did you mean 'hmac-sha256-8'"),
        ("{p2: 50 ms}", "{p2: 50}", "timing.p2", "90 min"),
        ("{p2: 50 ms}", "{p2: 70 s}", "timing.p2", "65535 ms"),
        ("{p2: 50 ms}", "{p2: 0 ms}", "timing.p2", "from 20 ms"),
        ("{p2: 50 ms}", "{p2_star: 11 min}", "timing.p2_star", "655350 ms"),
        ("{p2: 50 ms}", "{s3: 0 s}", "timing.s3", "from 100 ms"),
        ("{p2: 50 ms}", "{s3: 99 ms}", "timing.s3", "from 100 ms"),
        ("{p2: 50 ms}", "{p2_star: 0 s}", "timing.p2_star", "from 20 ms"),
        ("scheme: sfd", "scheme: sdf", "gate.scheme", "did you mean 'sfd'"),
        ("scheme: sfd", "max_duration_min: 90", "gate", "missing key 'scheme'"),
        ("scheme: sfd", "scheme: sfd, nonce_lifetime: 1 d", "gate.nonce_lifetime", "90 min"),
        ("scheme: sfd", "scheme: sfd, max_duration_min: 0", "gate.max_duration_min", "never be opened"),
        ("scheme: sfd", "scheme: sfd, nonce_lifetime: 0 s", "gate.nonce_lifetime", "never be opened"),
        ("scheme: sfd", "scheme: certificate, challenge_lifetime: 0 s", "gate.challenge_lifetime", "never be opened"),
        ("scheme: sfd", "scheme: sfd, ends_on_reset: 1", "gate.ends_on_reset", "true or false"),
        ("scheme: sfd", "scheme: sfd, token_rid: 0x10000", "gate.token_rid", "from 0 to 65535"),
        ("scheme: sfd", "scheme: sfd, min_role: 4", "gate.min_role", "from 1 to 3"),
        ("scheme: sfd", "scheme: sfd, refusal_nrc: authenticationRequired", "gate.refusal_nrc", "locked_nrc"),
        ("scheme: sfd", "scheme: sfd, challenge_lifetime: 1 s", "gate.challenge_lifetime", "unknown key"),
        ("scheme: sfd", "scheme: sfd, challenge_lifetime: 0 s", "gate.challenge_lifetime", "unknown key"),
        ("scheme: sfd", "scheme: certificate, token_rid: 1", "gate.token_rid", "unknown key"),
        ("busy: refuse", "busy: refuze", "busy", "did you mean 'refuse'"),
        ("busy: refuse", "locked_nrc: securityAccesDenied", "locked_nrc", "did you mean 'securityAccessDenied'"),
        ("busy: refuse", "max_dids: 0", "max_dids", "from 1 to 100"),
        ("busy: refuse", "padding: 0x100", "padding", "from 0 to 255"),
        ("busy: refuse", "extends: _bse", "extends", "no profile '_bse'"),
        ("busy: refuse", "extends: ../unit", "extends", "no profile"),
        ("busy: refuse", "extends: unit", "extends", "circle"),
        ("busy: refuse", f"extends: {'a' * 300}", "extends", "no profile"),
    ],
)
def test_a_mistake_is_told_with_file_line_key_and_what_to_do(
    tmp_path: Path, old: str, new: str, key: str, words: str
) -> None:
    assert VALID.count(old) == 1, "the example shows this mistake in one place"
    with pytest.raises(ConfigError) as raised:
        load_text(tmp_path, VALID.replace(old, new))
    error = raised.value
    assert words in error.problem
    assert error.key == key
    assert error.path == str(tmp_path / "unit.yaml")
    assert error.line == VALID[: VALID.index(old)].count("\n") + 1 + old.startswith("\n")
    assert str(error).startswith(f"{error.path}:{error.line}: {key}: ")


@pytest.mark.parametrize(
    ("gate", "options"),
    [
        ("scheme: sfd", SfdOptions()),
        (
            "scheme: sfd, ends_on_reset: false, nonce_lifetime: 2 h",
            SfdOptions(ends_on_reset=False, nonce_lifetime_ns=7200 * S),
        ),
        ("scheme: sfd, max_duration_min: 30, min_role: 3", SfdOptions(max_duration_min=30, min_role=3)),
        ("scheme: certificate, ends_on_terminal_15: true", CertificateOptions(ends_on_terminal_15=True)),
    ],
)
def test_the_lock_of_a_profile_is_read(tmp_path: Path, gate: str, options: object) -> None:
    assert load_text(tmp_path, VALID.replace("scheme: sfd", gate)).gate == options


@pytest.mark.parametrize("key", ["title", "address", "request_id", "response_id", "sessions"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    text = "\n".join(line for line in VALID.splitlines() if not line.startswith(f"{key}:"))
    with pytest.raises(ConfigError, match=f"missing key '{key}'"):
        load_text(tmp_path, text)


@pytest.mark.parametrize("other", ["0x77E", "0x700"])
def test_a_unit_does_not_hear_itself(tmp_path: Path, other: str) -> None:
    with pytest.raises(ConfigError, match="all different"):
        load_text(tmp_path, VALID.replace("0x714", other))


def test_an_identifier_that_a_base_has_already_is_told_where_the_unit_says_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load_text(tmp_path, "title: mine\nextends: lower\nrequest_id: 0x700\n", lower=VALID)
    error = raised.value
    assert (error.path, error.line, error.key) == (str(tmp_path / "unit.yaml"), 3, "request_id")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("# only a remark\n", "empty"),
        ("---\n", "mapping"),
        ("- 1\n- 2\n", "mapping"),
        ("just text", "mapping"),
        (VALID + "  odd: [\n", "not YAML"),
        (VALID + "title: again\n", "twice"),
        (VALID + "? [1, 2]\n: 3\n", "key must be plain text"),
        (VALID.replace("17 cluster", "!!python/name:os.system"), "tags"),
        (VALID.replace("17 cluster", "!!str 17"), "tags"),
        (VALID.replace("services:", "services: !!map"), "tags"),
        (VALID.replace("17 cluster", '"\\UFFFFFFFF"'), "not YAML"),
        (VALID.replace("0x17\n", "0x" + "F" * 5000 + "\n"), "64 bits"),
        (VALID.replace("17 cluster", "[" * 2000), "nested deeper"),
        (VALID + "extends: &again [*again]\n", ""),
        ("a: &a [1, 1]\n" + "".join(f"a{i}: &a{i} [{'*a' + str(i - 1 or '')}, *a]\n" for i in range(1, 3)), ""),
        (VALID + "extends: " + '"a\\0b"' + "\n", ""),
        (b"title: \xff\xfe", "UTF-8"),
        (VALID.replace("17 cluster", "17\x07cluster"), "not YAML"),
        ("x: " + "1" * 1_000_001, "at most 1000000"),
    ],
)
def test_what_is_no_profile_at_all_is_refused_with_a_reason(tmp_path: Path, text: str | bytes, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_text(tmp_path, text)
    assert words in str(raised.value)
    assert "unit.yaml" in str(raised.value)


def test_a_profile_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'vag/cluster'"):
        load_profile("vag/clutser")


def test_extending_merges_mappings_and_replaces_the_rest(tmp_path: Path) -> None:
    over = 'extends: base_of_it\ndids:\n  F190: {text: ABC}\n  "0700": {hex: "07"}\nsessions: [1, 2, 3]\n'
    profile = load_text(tmp_path, over, base_of_it=VALID)
    assert profile.dids[0xF190].value == b"ABC"
    assert profile.dids[0x0600].value == b"\x00\x01"
    assert profile.dids[0x0700].value == b"\x07"
    assert profile.sessions == {1, 2, 3}


def test_a_mistake_in_a_base_is_told_with_the_file_of_the_base(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load_text(tmp_path, "extends: lower\n", lower=VALID.replace("status: 0x08", "status: high"))
    assert (raised.value.path, raised.value.line) == (str(tmp_path / "lower.yaml"), 17)


def test_a_profile_of_ones_own_may_extend_a_shipped_one(tmp_path: Path) -> None:
    own = "extends: vag/_base\ntitle: 42 door\naddress: 0x42\nrequest_id: 0x74A\nresponse_id: 0x7B4\n"
    profile = load_text(tmp_path, own)
    assert (profile.address, profile.padding) == (0x42, 0xAA)
    assert profile.dids[0xF190] == load_profile("vag/cluster").dids[0xF190]


def test_two_profiles_that_extend_each_other_are_a_circle(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="circle"):
        load_text(tmp_path, "extends: lower\n", lower="extends: unit\n")


SHIPPED_TEXTS = [path.read_text() for path in sorted(FOLDER.glob("*/*.yaml"))]
PIECES = [
    "",
    " ",
    "\n",
    ":",
    "-",
    "[",
    "}",
    "&a ",
    "*a",
    "!",
    "'",
    '"',
    "0x",
    "99999",
    "null",
    "~",
    "F190",
    "\\",
    "\x00",
]


@settings(max_examples=50)
@given(
    st.sampled_from(SHIPPED_TEXTS),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), st.sampled_from(PIECES) | st.text(max_size=4)), max_size=4),
)
def test_a_damaged_profile_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, text: str, damages: list[tuple[float, int, str]]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    for place, cut, piece in damages:
        at = int(place * len(text))
        text = text[:at] + piece + text[at + cut :]
    try:
        profile = load_text(folder, text, _base=SHIPPED_TEXTS[1])
    except ConfigError:
        return
    ecu = Ecu(profile)
    for request in ("10 03", "22 F1 90", "19 0A", "27 03", "31 01 02 03", "2E 06 00 00", "14 FF FF FF"):
        ecu.ask_and_wait(request, S)
