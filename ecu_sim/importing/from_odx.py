"""An ECU profile from an ODX or PDX file: opens it, reads link, services, trouble codes, and lists what was not understood."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ecu_sim.importing.document import Entry, Hex, ProfileDocument, Value, clean
from ecu_sim.importing.link import Identifiers, set_address
from ecu_sim.importing.odx_file import choose_layer, open_database, plain_name
from ecu_sim.importing.odx_link import doip_address, read_link
from ecu_sim.importing.odx_requests import asked as asked_of
from ecu_sim.importing.odx_services import FIRST, READERS, RESULTS, START, STOP, Import, hexes
from ecu_sim.importing.odx_states import DEFAULT_SESSION, States
from ecu_sim.importing.odx_values import Given, NotUnderstood
from ecu_sim.importing.offered import OFFERED
from ecu_sim.importing.security_levels import add_level
from wire.errors import ConfigError, LocalMisuse
from wire.names import suggestion
from wire.uds import Service

DTC_BITS = 24
DTC_MAX = 0xFF_FFFE
STATUS_OF = "dtc"
"""`--value dtc.NAME=0x09` sets a trouble code's status byte."""
BACKGROUND = "10 s"
"""How long a routine runs that can be stopped: the document does not say."""


def import_odx(
    path: Path, *, variant: str | None = None, ids: Identifiers | None = None, values: Mapping[str, str] | None = None
) -> ProfileDocument:
    """Return the profile of a variant. `values`: physical values by `SERVICE.PARAMETER`. Raises `ConfigError`, `LocalMisuse`."""
    database, warned = open_database(path)
    document = import_layer(choose_layer(database, variant, path), ids=ids, values=values, source=str(path))
    for text in warned:
        document.leave_out("document", path.name, text)
    return document


def import_layer(
    layer: Any, *, ids: Identifiers | None = None, values: Mapping[str, str] | None = None, source: str = ""
) -> ProfileDocument:
    """Return the profile of a layer that odxtools has read. `source`: what errors call it. Raises as `import_odx`."""
    document, given, ids = ProfileDocument(), Given(values or {}), ids or Identifiers()
    document.head["title"] = plain_name(layer)
    document.head["address"] = None
    read_link(layer, ids, document, source)
    request_id = document.head["request_id"]
    assert isinstance(request_id, Hex)
    set_address(document, ids.address, doip_address(layer), request_id.value)
    into = Import(document, States(layer, document), given)
    _read_services(layer, into)
    _dtcs(layer, into)
    for job in layer.single_ecu_jobs:
        document.leave_out("job", job.short_name, "a program, not a service")
    _finish(layer.short_name, into)
    if not document.sections.get("services"):
        raise ConfigError(f"{layer.short_name!r} describes no service that the bench knows", path=source)
    unused = sorted(set(given.values) - given.used)
    if unused:
        raise LocalMisuse(f"no parameter {unused[0]!r} is set by this import{suggestion(unused[0], _paths(document))}")
    return document


def _read_services(layer: Any, into: Import) -> None:
    known: dict[int, list[Any]] = {}
    for service in layer.services:
        try:
            if not service.is_executable:
                raise NotUnderstood("the document says that it cannot be executed")  # noqa: TRY301 - one place that lists
            things = list(asked_of(service, into.given))
        except NotUnderstood as error:
            into.document.leave_out("service", service.short_name, str(error))
            continue
        for thing in things:
            known.setdefault(thing.sid, []).append(thing)
    for sid in sorted(known, key=lambda sid: (sid not in FIRST, sid)):
        for thing in known[sid]:
            try:
                _read(sid, thing, into)
            except NotUnderstood as error:
                into.document.leave_out("service", thing.name, str(error))


def _read(sid: int, thing: Any, into: Import) -> None:
    if sid not in OFFERED:
        raise NotUnderstood(f"the bench has no service {sid:02X}{_service_name(sid)}")
    reader = READERS.get(sid)
    if reader is None:
        raise NotUnderstood(
            f"service {sid:02X}{_service_name(sid)} is not imported: its facts are not in such a document"
        )
    reader(into, thing)
    into.document.entry("services", sid)


def _service_name(sid: int) -> str:
    return f" {Service(sid).name}" if sid in set(Service) else ""


def _dtcs(layer: Any, into: Import) -> None:
    document = into.document
    for dop in layer.diag_data_dictionary_spec.dtc_dops:
        bits = dop.diag_coded_type.get_static_bit_length()
        for dtc in dop.dtcs:
            code = dtc.trouble_code
            if bits != DTC_BITS or not 0 <= code <= DTC_MAX:
                document.leave_out(
                    "trouble code", dtc.short_name, f"{code:X} of {bits} bits; a profile has codes of three bytes"
                )
                continue
            status = _status(into.given, dtc.short_name)
            name = clean(dtc.text.text if dtc.text is not None else "") or plain_name(dtc)
            shown = f"{dtc.display_trouble_code or dtc.short_name}"
            old = document.section("dtcs").setdefault(code, Entry({"name": name, "status": Hex(status)}, shown))
            if old.keys["name"] != name:
                document.leave_out("trouble code", dtc.short_name, f"{code:06X} is {old.keys['name']!r} already")
    if document.sections.get("dtcs"):
        document.choose("trouble codes", "status", f"0x00: none is stored; --value {STATUS_OF}.NAME=0x09 stores one")


def _status(given: Given, name: str) -> int:
    text = given.take(f"{STATUS_OF}.{name}")
    try:
        status = 0 if text is None else int(text, 0)
    except ValueError:
        status = -1
    if not 0 <= status <= 0xFF:
        raise LocalMisuse(f"{STATUS_OF}.{name}: {text!r} is no status byte; write it as in 0x09")
    return status


def _finish(unit: str, into: Import) -> None:
    """Write what is known only when all services were read: sessions, sub-functions, levels, routines."""
    document = into.document
    document.head["sessions"] = hexes(set(into.all_sessions()))
    names = ", ".join(f"{number:02X} {name}" for number, name in sorted(into.sessions.items()))
    document.comments["sessions"] = names
    for sid, numbers in into.sub_functions.items():
        document.entry("services", sid).keys["sub_functions"] = hexes(numbers)
    for sid, several in into.access.items():
        first = several[0]
        if any(access != first for access in several):
            document.leave_out(
                "condition", f"service {sid:02X}", "its sub-functions have conditions of their own; none is kept"
            )
        elif first:
            document.entry("services", sid).keys["access"] = first
    for level, (seed, size) in sorted(into.seeds.items()):
        access = into.states.access(seed.thing, into.all_sessions())
        sessions = [item.value for item in access.get("sessions") or () if isinstance(item, Hex)]  # type: ignore[union-attr]
        sessions = sessions or [session for session in into.all_sessions() if session != DEFAULT_SESSION]
        key = into.keys.get(level)
        add_level(document, level, unit=unit, seed_len=size, key_bytes=key[1] if key else None, sessions=sessions)
    for level in sorted(set(into.keys) - set(into.seeds)):
        document.leave_out("security level", f"{level:02X}", "a key is described, and no seed")
    if 0x27 in document.section("services") and not document.sections.get("security"):
        del document.section("services")[0x27]
    _drop_unknown_levels(document)
    for rid, by_sub in sorted(into.routines.items()):
        _routine(rid, by_sub, into)
    if into.routines and not document.sections.get("routines"):
        del document.section("services")[0x31]
    for sid in [sid for sid in document.section("services") if sid == 0x22 and not document.sections.get("dids")]:
        del document.section("services")[sid]


def _drop_unknown_levels(document: ProfileDocument) -> None:
    """Take back a demand for a level that did not make it into the profile: nobody could meet it."""
    levels = document.sections.get("security", {})
    for section in ("dids", "services"):
        for number, entry in document.sections.get(section, {}).items():
            for key in ("read", "write", "access"):
                access = entry.keys.get(key)
                if isinstance(access, dict):
                    level = access.get("security")
                    if isinstance(level, Hex) and level.value not in levels:
                        del access["security"]
                        document.leave_out(
                            "condition", f"{number:04X}", f"level {level.value:02X} is not in the profile"
                        )


def _routine(rid: int, by_sub: Mapping[int, Any], into: Import) -> None:
    document = into.document
    started = by_sub.get(START)
    if started is None:
        for asked, _ in by_sub.values():
            document.leave_out("routine", asked.name, f"routine {rid:04X} is never started")
        return
    asked, message = started
    keys: dict[str, Value] = {"name": plain_name(asked.thing)}
    access = into.states.access(asked.thing, into.all_sessions())
    if access:
        keys["access"] = access
    options = len(asked.request.payload) - 4
    if options:
        keys["option_len"] = options
    if STOP in by_sub:
        keys |= {"duration": BACKGROUND, "stoppable": True}
    keys["result"] = message.payload[4:]
    for sub in (STOP, RESULTS):
        if sub in by_sub and len(by_sub[sub][0].request.payload) != 4:
            document.leave_out("routine", by_sub[sub][0].name, "options are taken when a routine is started, not here")
        if sub in by_sub and by_sub[sub][1].payload[4:] != message.payload[4:]:
            document.leave_out(
                "routine", by_sub[sub][0].name, "its result differs from that of the start; a profile has one"
            )
    document.section("routines")[rid] = Entry(keys, "; ".join(str(value) for value in message.values[:4]))


def _paths(document: ProfileDocument) -> list[str]:
    """Return the parameters that comments name, for a suggestion."""
    comments = [entry.comment for entries in document.sections.values() for entry in entries.values()]
    return sorted({part.split(" = ")[0] for comment in comments for part in comment.split("; ") if " = " in part})
