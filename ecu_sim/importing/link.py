"""How an imported ECU is reached: identifiers, logical address and durations, as the head of a profile has them."""

from __future__ import annotations

from dataclasses import dataclass

from ecu_sim.importing.document import Hex, ProfileDocument


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifiers:
    """What a person says instead of the document. Identifiers of 29 bits carry bit 31."""

    request_id: int | None = None
    response_id: int | None = None
    functional_ids: tuple[int, ...] = ()
    address: int | None = None


def set_identifiers(document: ProfileDocument, ids: Identifiers) -> None:
    """Write the identifiers into the head."""
    assert ids.request_id is not None
    assert ids.response_id is not None
    document.head["request_id"] = Hex(ids.request_id, 3)
    document.head["response_id"] = Hex(ids.response_id, 3)
    document.head["functional_ids"] = [Hex(can_id, 3) for can_id in ids.functional_ids]


def set_address(document: ProfileDocument, given: int | None, found: int | None, request_id: int) -> None:
    """Write the logical address into the head: what is given, else found, else the request identifier's low bits."""
    address = given if given is not None else found
    if address is None:
        address = request_id & 0xFFFF
        document.choose("key", "address", f"{address:#x}, the request identifier's; unlocks are bound to it")
    document.head["address"] = Hex(address, 2)


def duration_text(time_ns: int) -> str:
    """Return a duration as a profile has it."""
    for unit, size in (("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)):
        if time_ns % size == 0 and time_ns:
            return f"{time_ns // size} {unit}"
    return f"{time_ns} ns"
