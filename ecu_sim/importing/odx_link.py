"""CAN identifiers, padding and timing of an ODX layer, from its communication parameters.

Names and units (microseconds) are those of the D-PDU API's parameters (ISO 22900-2) as open implementations list them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ecu_sim.importing.document import Hex, ProfileDocument
from ecu_sim.importing.link import Identifiers, duration_text, set_identifiers
from ecu_sim.importing.odx_values import shown
from ecu_sim.reading.timing import P2_RANGE_NS, P2_STAR_RANGE_NS, S3_MIN_NS
from wire.errors import ConfigError
from wire.frame import EXTENDED, EXTENDED_MASK, STANDARD_MASK

_US = 1_000
TIMES: tuple[tuple[str, tuple[str, ...], tuple[int, int]], ...] = (
    ("p2", ("CP_P2Max_Ecu", "CP_P2Max"), P2_RANGE_NS),
    ("p2_star", ("CP_P2Star_Ecu", "CP_P2Star"), P2_STAR_RANGE_NS),
    ("s3", ("CP_TesterPresentTime_Ecu",), (S3_MIN_NS, 3_600_000_000_000)),
)
"""Key of the profile, parameters that hold it (what the ECU keeps, else what the tester waits), and its range."""


def read_link(layer: Any, given: Identifiers, document: ProfileDocument, path: str) -> None:
    """Fill in the head's identifiers, padding and timing. Raises `ConfigError` where no identifier is to be had."""
    request = (
        given.request_id if given.request_id is not None else _can_id(layer, "CP_CanPhysReqId", "CP_CanPhysReqFormat")
    )
    response = (
        given.response_id
        if given.response_id is not None
        else _can_id(layer, "CP_CanRespUSDTId", "CP_CanRespUSDTFormat")
    )
    if request is None or response is None:
        raise ConfigError(
            "names no CAN identifiers (CP_UniqueRespIdTable); say --request-id and --response-id", path=path
        )
    functional = given.functional_ids
    if not functional:
        found = _can_id(layer, "CP_CanFuncReqId", "CP_CanFuncReqFormat")
        functional = () if found is None or found in (request, response) else (found,)
    set_identifiers(document, Identifiers(request_id=request, response_id=response, functional_ids=functional))
    document.head["padding"] = _padding(layer, document)
    timing = dict(_timing(layer, document))
    if timing:
        document.head["timing"] = timing


def doip_address(layer: Any) -> int | None:
    """Return the logical address that the document has for DoIP."""
    return _number(_complex(layer, "CP_DoIPLogicalEcuAddress"))


def _can_id(layer: Any, name: str, format_name: str) -> int | None:
    can_id = _number(_complex(layer, name))
    if can_id is None or not 0 <= can_id <= EXTENDED_MASK:
        return None
    wide = "29" in (_complex(layer, format_name) or "") or can_id > STANDARD_MASK
    return can_id | EXTENDED if wide else can_id


def _padding(layer: Any, document: ProfileDocument) -> Hex | None:
    handling, filler = _complex(layer, "CP_CanFillerByteHandling"), _number(_complex(layer, "CP_CanFillerByte"))
    if handling is not None and ("disable" in handling.lower() or handling == "0"):
        return None
    if filler is None or not 0 <= filler <= 0xFF:
        filler = 0xAA
        document.choose("key", "padding", "0xAA, which stuffs the fewest bits")
    return Hex(filler)


def _timing(layer: Any, document: ProfileDocument) -> Iterator[tuple[str, str]]:
    for key, names, (low_ns, high_ns) in TIMES:
        for name in names:
            time = _number(_complex(layer, name))
            if time is None:
                continue
            time_ns = min(max(time * _US, low_ns), high_ns)
            if time_ns != time * _US:
                document.choose(
                    "timing", key, f"{duration_text(time_ns)}: {name} is {time} us, outside of what a profile takes"
                )
            yield key, duration_text(time_ns)
            break
        else:
            document.choose("timing", key, "the standard's, as the document has no parameter for it")


def _complex(layer: Any, name: str) -> str | None:
    """Return a parameter's value, be it one by itself or within another; else the default of its definition."""
    for instance in layer.comparam_refs:
        text = _within(instance.spec, instance.value, name)
        if text is not None:
            return text
    for protocol in layer.protocols:
        stacks = protocol.comparam_spec.prot_stacks if protocol.comparam_spec is not None else ()
        for stack in stacks:
            for subset in stack.comparam_subsets:
                for comparam in subset.comparams:
                    if comparam.short_name == name:
                        return str(comparam.physical_default_value)
    return None


def _within(spec: Any, value: Any, name: str) -> str | None:
    if isinstance(value, list):
        for part, item in zip(getattr(spec, "subparams", ()), value, strict=False):
            text = _within(part, item, name)
            if text is not None:
                return text
        return None
    if spec.short_name != name:
        return None
    if value:
        return str(value)
    default = getattr(spec, "physical_default_value", None)
    return None if default is None or isinstance(default, list) else shown(default).strip("'")


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text, 0)
    except ValueError:
        return None
