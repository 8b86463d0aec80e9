"""Messages as plain values: there and back they are the same, and what is wrong is named with its field."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.stage import TransportChange, VehicleChange
from wire.errors import ConfigError, LocalMisuse
from wire.faults import FaultRule
from wire.plain import from_plain, to_plain
from wire.portal_api import (
    AuditRecord,
    DocumentKind,
    FaceVideo,
    IdentityDocuments,
    KeySet,
    Picture,
    RequestUnlock,
    Unlock,
)

MESSAGES = (VehicleChange, TransportChange, KeySet, AuditRecord, RequestUnlock, Unlock)


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_every_message_comes_back_from_json_as_it_was(kind: type) -> None:
    @given(st.from_type(kind))
    def check(message: object) -> None:
        assert from_plain(kind, json.loads(json.dumps(to_plain(message)))) == message

    check()


def test_nested_messages_come_back_as_they_were() -> None:
    documents = IdentityDocuments(
        session="s",
        country="DE",
        document=DocumentKind.PASSPORT,
        front=Picture(sharpness=0.1),
        back=Picture(),
        video=FaceVideo(motion=0),
    )
    assert from_plain(IdentityDocuments, json.loads(json.dumps(to_plain(documents)))) == documents


def test_a_fault_rule_comes_back_as_it_was() -> None:
    rule = FaultRule(kind="delay", bus="obd", can_id=0x714, probability=0.5, delay_ns=1000, count=3)
    assert from_plain(FaultRule, json.loads(json.dumps(to_plain(rule)))) == rule


@pytest.mark.parametrize(
    ("kind", "plain", "says"),
    [
        (VehicleChange, {"bonet_open": True}, "did you mean 'bonnet_open'"),
        (VehicleChange, {"bonnet_open": "yes"}, "bonnet_open: expected bool, got str"),
        (VehicleChange, {"speed_kmh": True}, "speed_kmh: expected int, got bool"),
        (VehicleChange, [], "expected dict, got list"),
        (KeySet, {"token_keys": [], "root_ca": "zz"}, "root_ca: expected bytes in hex"),
        (KeySet, {"root_ca": "00", "token_keys": ["00", 1]}, "token_keys[1]: expected str, got int"),
        (KeySet, {"token_keys": []}, "root_ca: this field is missing"),
        (FaultRule, {"kind": "dropp"}, "did you mean 'drop'"),
        (FaultRule, {"kind": "delay"}, "a delay fault needs delay_ns"),
        (RequestUnlock, {"kind": "wish"}, "unknown value 'wish'"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(kind: type, plain: object, says: str) -> None:
    base = {"session": "s", "make": "vag", "vin": "v", "ecu_address": 1, "role": 1, "scope": 1, "challenge": ""}
    given_plain = {**base, **plain} if kind is RequestUnlock and isinstance(plain, dict) else plain
    with pytest.raises(ConfigError) as refused:
        from_plain(kind, given_plain)
    assert says in str(refused.value)


def test_what_has_no_plain_form_is_refused() -> None:
    with pytest.raises(LocalMisuse, match="object has no plain form"):
        to_plain(object())
