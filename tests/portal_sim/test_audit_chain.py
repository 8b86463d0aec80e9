"""The audit log's chain: whatever is changed, taken out, put in or cut off, the first record that does not hold is named."""

import hashlib
import hmac
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal_sim.audit_chain import START, AuditChain, first_broken
from portal_sim.memory_store import MemoryStore
from portal_sim.records import AuditEntry
from wire.plain import to_plain
from wire.portal_api import AuditRecord

KEY = b"k" * 32
CHAIN = AuditChain(KEY)
Log = tuple[list[AuditEntry], tuple[int, bytes]]


def record(number: int) -> AuditRecord:
    return AuditRecord(
        audit_id=f"{number:04x}",
        utc_s=number,
        action="login",
        person="tessa@x.example",
        company="",
        make="",
        vin="",
        ecu_address=None,
        role=None,
        scope=None,
        subject="",
    )


def written(count: int) -> Log:
    store = MemoryStore(CHAIN)
    with store.unit() as unit:
        for number in range(count):
            unit.add_audit(record(number))
        return unit.audit(), unit.audit_head()


def changed(entry: AuditEntry) -> AuditEntry:
    return replace(entry, record=replace(entry.record, person="mallory@x.example"))


def added(log: list[AuditEntry]) -> AuditEntry:
    """Return one record more, made with the right key."""
    return AuditEntry(position=6, record=record(9), digest=CHAIN.digest(6, record(9), log[-1].digest))


def without_its_key(entry: AuditEntry, before: bytes) -> AuditEntry:
    """Return a record as somebody forges it who knows everything but the key."""
    entry = changed(entry)
    text = json.dumps([entry.position, to_plain(entry.record)], sort_keys=True, separators=(",", ":"))
    return replace(entry, digest=hashlib.sha256(before + text.encode()).digest())


TAMPERED = {
    "a record changed": (lambda log, head: ([*log[:2], changed(log[2]), *log[3:]], head), 3, "changed"),
    "a record forged": (
        lambda log, head: ([*log[:2], without_its_key(log[2], log[1].digest), *log[3:]], head),
        3,
        "changed",
    ),
    "the first taken out": (lambda log, head: (log[1:], head), 1, "missing"),
    "one taken out": (lambda log, head: ([*log[:2], *log[3:]], head), 3, "missing"),
    "one taken out, numbers closed up": (
        lambda log, head: ([*log[:2], *(replace(each, position=each.position - 1) for each in log[3:])], head),
        3,
        "changed",
    ),
    "the last cut off": (lambda log, head: (log[:-1], head), 5, "cut off"),
    "everything cut off": (lambda log, head: ([], head), 1, "cut off"),
    "one added": (
        lambda log, head: (
            [*log, added(log)],
            head,
        ),
        6,
        "added",
    ),
    "two swapped": (
        lambda log, head: (
            [*log[:1], replace(log[2], position=2), replace(log[1], position=3), *log[3:]],
            head,
        ),
        2,
        "changed",
    ),
    "an old end put back": (lambda log, head: (log[:3], (3, head[1])), 3, "not the record that was written last"),
}


@pytest.mark.parametrize(("tamper", "position", "reason"), TAMPERED.values(), ids=TAMPERED)
def test_what_was_done_to_it_is_seen_at_the_first_place(tamper: object, position: int, reason: str) -> None:
    broken = first_broken(CHAIN, *tamper(*written(5)))
    assert broken is not None
    assert (broken.position, reason in broken.reason) == (position, True), broken


@given(st.integers(0, 12))
def test_a_log_that_nobody_touched_holds(count: int) -> None:
    assert first_broken(CHAIN, *written(count)) is None


def test_a_digest_is_what_the_docs_say() -> None:
    """HMAC-SHA256 over the digest before and the record as canonical JSON: another program can check a log."""
    text = json.dumps([1, to_plain(record(7))], sort_keys=True, separators=(",", ":"))
    assert CHAIN.digest(1, record(7), START) == hmac.new(KEY, START + text.encode(), hashlib.sha256).digest()
