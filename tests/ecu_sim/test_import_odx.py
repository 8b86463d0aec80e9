"""A unit that others described in ODX becomes a profile, and odxtools reads each of its answers as what was set."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import odxtools
import pytest
from ecu_bench import Ecu, refused
from odx_door import door, text_field
from odx_maker import (
    ASCII,
    U32,
    UNICODE,
    Limit,
    Maker,
    SingleEcuJob,
    coded,
    key_param,
    linear,
    matching,
    struct_param,
    texts,
)
from odxtools.internalconstr import InternalConstr
from odxtools.parameters.systemparameter import SystemParameter

from ecu_sim.importing import odx_requests
from ecu_sim.importing.document import ProfileDocument
from ecu_sim.importing.from_odx import import_layer, import_odx
from ecu_sim.importing.link import Identifiers
from ecu_sim.importing.odx_file import choose_layer
from ecu_sim.importing.yaml_text import yaml_text
from ecu_sim.profile import EcuProfile
from ecu_sim.profile_file import read_profile
from wire.errors import ConfigError, LocalMisuse
from wire.strict_yaml import loads

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture(scope="module")
def pdx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return door().write(tmp_path_factory.mktemp("odx") / "door.pdx")


def imported(path: Path, **values: str) -> ProfileDocument:
    return import_odx(path, values={name.replace("__", "."): text for name, text in values.items()})


def profile_of(document: ProfileDocument) -> EcuProfile:
    return read_profile(loads(yaml_text(document, "a test")), "door")


def ecu_of(document: ProfileDocument) -> Ecu:
    return Ecu(profile_of(document))


def left_out(document: ProfileDocument, name: str) -> str:
    return next(finding.why for finding in document.left_out if finding.name == name)


def one(maker: Maker) -> ProfileDocument:
    return import_layer(choose_layer(maker.database(), None, Path("one.pdx")), source="one.pdx")


GIVEN = {
    "Read_Temperature.temperature": 85.0,
    "Read_Supply.voltage": 11.25,
    "Read_Position.position": -300,
    "Read_Force.force": 2.5,
    "Read_Window.state": "open",
    "Read_Window.child_lock": 1,
    "Read_Window.level": 7,
    "Read_Part_Number.part_number": "5X0123456A",
    "Read_Coding.coding": bytearray(b"\x01\x02\x03\x04"),
    "Read_Both.both.left": 20.0,
    "Read_Both.both.right": -5.0,
    "Read_Measured.data.speed.speed": 130,
    "Read_Measured.data.mirror.mirror": 3.0,
    "Self_Test.result": "bad",
}


def as_text(value: Any) -> str:
    return value.hex() if isinstance(value, bytearray) else str(value)


@pytest.fixture(scope="module")
def given(pdx: Path) -> ProfileDocument:
    return import_odx(pdx, values={name: as_text(value) for name, value in GIVEN.items()})


def value_at(tree: Any, path: list[str]) -> Any:
    for step in path:
        tree = tree[1] if isinstance(tree, tuple) else tree[step]
    return tree


@pytest.mark.judge("odxtools")
def test_every_answer_is_read_by_odxtools_as_the_value_that_was_set(
    pdx: Path, given: ProfileDocument, tmp_path: Path
) -> None:
    with_table = odxtools.load_file(pdx, use_weakrefs=False).ecu_variants.Door
    door(with_table=False).write(tmp_path / "plain.pdx")
    plain = odxtools.load_file(tmp_path / "plain.pdx", use_weakrefs=False).ecu_variants.Door
    ecu, seen = ecu_of(given), 0
    ecu.extended()
    for path, wanted in GIVEN.items():
        table = path.startswith("Read_Measured")
        layer = with_table if table else plain
        service = layer.services[path.split(".")[0]]
        picks = {"which": path.split(".")[2]} if table else {}
        request = bytes(service.encode_request(**picks))
        answer = bytes.fromhex(ecu.ask(request))
        (message,) = [service.decode_message(answer)] if table else layer.decode_response(answer, request)
        assert message.service.short_name == service.short_name
        got = value_at(message.param_dict, path.split(".")[1:])
        assert math.isclose(got, wanted) if isinstance(wanted, float) else got == wanted, path
        seen += 1
    assert seen == len(GIVEN)


@pytest.mark.judge("odxtools")
@pytest.mark.parametrize(
    ("service", "request_values"),
    [
        ("Default_Start", {}),
        ("Extended_Start", {}),
        ("Tester_Present", {"Suppress": "no"}),
        ("Request_Seed", {}),
        ("Write_Secret", {"secret": 0x1234}),
        ("Move_Window", {"how_far": 20}),
        ("Read_Codes", {"mask": 0xFF}),
        ("Count_Codes", {"mask": 0xFF}),
        ("Clear_Codes", {"group": 0xFFFFFF}),
        ("Hard_Reset", {}),
    ],
)
def test_every_service_is_answered_positively_and_decodes(
    pdx: Path, given: ProfileDocument, service: str, request_values: dict[str, Any]
) -> None:
    layer = odxtools.load_file(pdx, use_weakrefs=False).ecu_variants.Door
    ecu = ecu_of(given).extended()
    request = bytes(layer.services[service].encode_request(**request_values))
    answer = bytes.fromhex(ecu.ask(request))
    assert answer[0] == request[0] + 0x40, answer.hex(" ")
    decoded = layer.services[service].decode_message(answer)
    assert decoded.coding_object.short_name == f"PR_{service}"


@pytest.mark.judge("odxtools")
def test_refusals_decode_as_the_negative_responses_of_the_document(pdx: Path, given: ProfileDocument) -> None:
    layer = odxtools.load_file(pdx, use_weakrefs=False).ecu_variants.Door
    ecu = ecu_of(given)
    coding = bytes(layer.services.Write_Coding.encode_request(coding=bytearray(4)))
    for request in (coding, bytes(layer.services.Request_Seed.encode_request())):
        answer = bytes.fromhex(ecu.ask(request))
        (message,) = layer.decode_response(answer, request)
        assert message.coding_object.short_name.startswith("NR_")


def test_sessions_and_levels_come_from_the_state_charts(given: ProfileDocument) -> None:
    ecu = ecu_of(given)
    assert ecu.ask("22 06 00") == refused(0x22, 0x31)
    assert ecu.ask("2E 06 00 AA BB CC DD") == refused(0x2E, 0x31)
    ecu.extended()
    assert ecu.ask("22 06 00") == "62 06 00 01 02 03 04"
    assert ecu.ask("2E 06 00 AA BB CC DD") == refused(0x2E, 0x33)
    ecu.open_level(1)
    assert ecu.ask("2E 06 00 AA BB CC DD") == "6E 06 00"
    assert ecu.ask("22 06 00") == "62 06 00 AA BB CC DD"
    assert ecu.ask("22 06 01") == refused(0x22, 0x31), "what is only written is never read"


def test_link_and_timing_come_from_the_communication_parameters(given: ProfileDocument) -> None:
    profile = profile_of(given)
    assert (profile.request_id, profile.response_id, profile.functional_ids) == (0x7A1, 0x7A9, (0x7DF,))
    assert (profile.timing.p2_ns, profile.timing.p2_star_ns, profile.timing.s3_ns) == (40_000_000, 4 * 10**9, 6 * 10**9)
    assert profile.padding == 0x55
    assert ecu_of(given).ask("10 03") == "50 03 00 28 01 90"


def test_trouble_codes_bring_their_texts_and_are_stored_on_demand(pdx: Path) -> None:
    assert ecu_of(imported(pdx)).ask("19 02 FF") == "59 02 FF"
    document = imported(pdx, dtc__B10A1="0x09")
    assert [dtc.name for dtc in profile_of(document).dtcs] == ["Motor: open circuit", "No message from the engine"]
    assert ecu_of(document).ask("19 02 08") == "59 02 FF B1 0A 15 09"


def test_defaults_are_told_beside_each_value(pdx: Path) -> None:
    text = yaml_text(imported(pdx), "Imported from door.pdx")
    for told in (
        "Read_Temperature.temperature = -40 °C (0 on the wire)",
        "Read_Supply.voltage = 12.6 V (default of the document)",
        "Read_Window.state = 'closed' (the lowest)",
        "Read_Window.level = 5 (the lowest)",
        "Read_Part_Number.part_number = blank (spaces)",
        "Read_Coding.coding = 00 00 00 00 (zeros)",
        "# 01 Default_Start, 03 Extended session",
    ):
        assert told in text
    assert "how a seed becomes a key cannot be known" in text


def test_the_same_file_gives_the_same_text(pdx: Path) -> None:
    assert yaml_text(imported(pdx), "x") == yaml_text(imported(pdx), "x")


def test_keys_of_the_bench_have_the_length_of_the_document(given: ProfileDocument) -> None:
    level = profile_of(given).security[1]
    assert (level.algorithm, level.seed_len, level.sessions) == ("rotate-xor-4", 8, frozenset({3}))


# ---- what is left out has a name and a reason


def base() -> Maker:
    maker = Maker("Odd")
    maker.sub("Default_Start", 0x10, 1)
    maker.read("Read_Fine", 0x0101, maker.value("fine", maker.dop("byte", coded(U32, 8)), 3))
    return maker


def test_a_service_that_the_bench_does_not_have_is_listed() -> None:
    maker = base()
    maker.service("Forward_Flip", [maker.const("SID", 0xBA, 0)], [maker.const("SID", 0xFA, 0)])
    maker.job("Flash_All")
    document = one(maker)
    assert "no service BA" in left_out(document, "Forward_Flip")
    assert "program" in left_out(document, "Flash_All")
    assert isinstance(maker.services[-1], SingleEcuJob)
    assert "not understood: job (1), service (1)" in document.summary()


def test_a_request_that_leaves_open_what_it_asks_for_is_listed() -> None:
    maker = base()
    word = maker.dop("word", coded(U32, 16))
    maker.service(
        "Read_Any",
        [maker.const("SID", 0x22, 0), maker.value("number", word, 1)],
        [maker.const("SID", 0x62, 0), matching("number", 1, 1, 2)],
    )
    assert "what it asks for is open: parameter 'number' (VALUE)" in left_out(one(maker), "Read_Any")


def test_texts_that_choose_a_sub_function_are_each_imported() -> None:
    maker = base()
    kind = maker.dop("kind", coded(U32, 8), texts(hard=1, key_off_on=2, odd=0x44))
    maker.service(
        "Reset",
        [maker.const("SID", 0x11, 0), maker.value("kind", kind, 1)],
        [maker.const("SID", 0x51, 0), matching("kind", 1, 1, 1)],
    )
    document = one(maker)
    assert profile_of(document).services[0x11].sub_functions == {1, 2}
    assert "no sub-function 44" in left_out(document, "Reset.odd")


def test_an_answer_that_is_no_answer_to_its_request_is_listed() -> None:
    maker = base()
    byte = maker.dop("byte2", coded(U32, 8))
    maker.service(
        "Read_Wrong",
        [maker.const("SID", 0x22, 0), maker.const("DID", 0x0300, 1, 16)],
        [maker.const("SID", 0x62, 0), maker.const("DID", 0x0301, 1, 16), maker.value("wrong", byte, 3)],
    )
    maker.service("Read_Silent", [maker.const("SID", 0x22, 0), maker.const("DID", 0x0302, 1, 16)], None)
    document = one(maker)
    assert "begins with 62 03 01, not with 62 03 00" in left_out(document, "Read_Wrong")
    assert "no positive response" in left_out(document, "Read_Silent")
    assert set(profile_of(document).dids) == {0x0101}


def test_two_services_that_tell_one_identifier_differently_are_listed() -> None:
    maker = base()
    word = maker.dop("word", coded(U32, 16))
    maker.read("Read_Fine_Again", 0x0101, maker.value("fine", word, 3))
    maker.write_data("Write_Long", 0x0101, maker.value("fine", word, 3))
    document = one(maker)
    assert "0101 is read by 'Read_Fine'" in left_out(document, "Read_Fine_Again")
    assert "writes 2 bytes, and 0101 is read as 1" in left_out(document, "Write_Long")


def test_a_read_of_several_identifiers_is_listed() -> None:
    maker = base()
    maker.service(
        "Read_Two",
        [maker.const("SID", 0x22, 0), maker.const("One", 0x0101, 1, 16), maker.const("Two", 0x0102, 3, 16)],
        [maker.const("SID", 0x62, 0), maker.const("One", 0x0101, 1, 16)],
    )
    assert "several identifiers" in left_out(one(maker), "Read_Two")


def test_a_text_of_open_length_is_as_short_as_it_may_be(tmp_path: Path) -> None:
    maker = base()
    maker.read("Read_Note", 0x0400, maker.value("note", text_field(maker, 2), 3))
    assert profile_of(one(maker)).dids[0x0400].value == b"  "
    longer = import_odx(maker.write(tmp_path / "note.pdx"), values={"Read_Note.note": "hello"})
    assert profile_of(longer).dids[0x0400].value == b"hello"


def test_a_routine_that_is_never_started_is_listed() -> None:
    maker = base()
    maker.routine("Only_Results", 3, 0x0300)
    document = one(maker)
    assert "never started" in left_out(document, "Only_Results")
    assert 0x31 not in profile_of(document).services


def test_a_key_of_a_length_that_no_algorithm_of_the_bench_makes_is_listed() -> None:
    maker = base()
    maker.sub("Seed", 0x27, 1, maker.value("seed", maker.dop("seed", coded(U32, 24)), 2))
    maker.sub("Key", 0x27, 2, asks=[maker.value("key", maker.dop("key", coded(U32, 24)), 2)])
    maker.sub("Other_Key", 0x27, 4, asks=[maker.value("key", maker.dop("key2", coded(U32, 24)), 2)])
    maker.sub("Extended_Start", 0x10, 3)
    document = one(maker)
    assert "its key has 3 bytes" in left_out(document, "01")
    assert "no seed" in left_out(document, "03")
    assert profile_of(document).security[1].seed_len == 3


def test_a_seed_that_a_profile_cannot_have_leaves_no_level_and_no_demand_for_it() -> None:
    maker = base()
    maker.chart("SECURITY", "Locked", ("unlock", "Locked", "Open"))
    maker.sub("Seed", 0x27, 1, maker.value("seed", maker.dop("seed", coded(U32, 8)), 2))
    maker.sub("Key", 0x27, 2, asks=[maker.value("key", maker.dop("key", coded(U32, 8)), 2)], transitions=["unlock"])
    maker.read("Read_Locked", 0x0500, maker.value("fine", maker.dop("b", coded(U32, 8)), 3), states=["Open"])
    document = one(maker)
    assert "1 bytes; a profile takes 2 to 32" in left_out(document, "01")
    assert "level 01 is not in the profile" in left_out(document, "0500")
    assert 0x27 not in profile_of(document).services


def test_a_state_that_no_service_leads_to_is_listed() -> None:
    maker = base()
    maker.chart("SESSION", "Default", ("to_plant", "Default", "Plant"))
    maker.chart("WEATHER", "Sun", ("to_rain", "Sun", "Rain"))
    maker.read("Read_Plant", 0x0501, maker.value("fine", maker.dop("b", coded(U32, 8)), 3), states=["Plant"])
    document = one(maker)
    assert "no service leads to its state 'Plant'" in left_out(document, "Read_Plant")
    assert "neither session nor security" in left_out(document, "chart_WEATHER")


def test_trouble_codes_of_two_bytes_are_listed() -> None:
    maker = base()
    maker.dtcs("short", 16, P0123=(0x0123, "Throttle"))
    assert "of 16 bits" in left_out(one(maker), "P0123")


def test_a_value_of_a_name_that_does_not_fit_is_refused_with_a_suggestion(pdx: Path) -> None:
    with pytest.raises(LocalMisuse, match=r"did you mean 'Read_Temperature.temperature'"):
        import_odx(pdx, values={"Read_Temperature.temprature": "3"})


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("Read_Window.state", "ajar", "there are: closed, open, moving"),
        ("Read_Position.position", "left", "no value of type A_INT32"),
        ("dtc.B10A1", "stored", "no status byte"),
        ("dtc.B10A1", "0x100", "no status byte"),
    ],
)
def test_a_value_that_cannot_be_is_refused(pdx: Path, name: str, text: str, said: str) -> None:
    with pytest.raises(LocalMisuse, match=said):
        import_odx(pdx, values={name: text})


def test_identifiers_may_be_said_where_the_document_has_none(tmp_path: Path) -> None:
    maker = base()
    del maker.link["CP_UniqueRespIdTable"]
    path = maker.write(tmp_path / "bare.pdx")
    with pytest.raises(ConfigError, match="say --request-id and --response-id"):
        import_odx(path)
    ids = Identifiers(request_id=0x98DA42F1, response_id=0x98DAF142, functional_ids=(0x98DB33F1,), address=0x42)
    profile = profile_of(import_odx(path, ids=ids))
    assert (profile.request_id, profile.response_id, profile.address) == (0x98DA42F1, 0x98DAF142, 0x42)


def test_identifiers_of_29_bits_and_no_padding_are_understood() -> None:
    maker = base()
    maker.link["CP_UniqueRespIdTable"] = [str(0x18DA42F1), "normal 29-bit", str(0x18DAF142)]
    maker.link["CP_CanFillerByteHandling"] = "Padding disabled"
    maker.link["CP_P2Max_Ecu"] = "5000"
    document = one(maker)
    profile = profile_of(document)
    assert (profile.request_id, profile.response_id, profile.padding) == (0x98DA42F1, 0x98DAF142, None)
    assert profile.timing.p2_ns == 20_000_000
    assert any("outside of what a profile takes" in finding.why for finding in document.chosen)


def test_what_the_document_does_not_say_of_link_and_timing_is_said() -> None:
    maker = base()
    maker.link = {"CP_UniqueRespIdTable": maker.link["CP_UniqueRespIdTable"]}
    document = one(maker)
    chosen = {finding.name for finding in document.chosen}
    assert {"p2", "p2_star", "s3", "padding", "address"} <= chosen


def test_of_several_variants_one_must_be_named(tmp_path: Path) -> None:
    maker = base()
    maker.variants = ["Odd_left", "Odd_right"]
    path = maker.write(tmp_path / "two.pdx")
    with pytest.raises(ConfigError, match="say which by --variant: Odd_left, Odd_right, Odd_base"):
        import_odx(path)
    with pytest.raises(ConfigError, match="no variant 'Odd_middle'"):
        import_odx(path, variant="Odd_middle")
    assert import_odx(path, variant="Odd_right").head["title"] == "Odd_right"


def test_a_base_variant_is_taken_where_no_ecu_variant_is() -> None:
    maker = base()
    maker.variants = []
    assert one(maker).head["title"] == "Odd, described by others"


def test_names_with_anything_in_them_stay_in_their_line() -> None:
    maker = base()
    byte = maker.dop("b2", coded(U32, 8), linear(0, 2, U32), unit="#/s: {x}")
    maker.read("Read_Odd", 0x0600, maker.value("odd", byte, 3), long_name='no: "yes" # \\ {a}\nnext: \u2028 ümlaut')
    document = one(maker)
    assert profile_of(document).dids[0x0600].name == 'no: "yes" # \\ {a} next: ümlaut'


def test_text_types_of_two_bytes_a_letter_are_understood(tmp_path: Path) -> None:
    maker = base()
    maker.read("Read_Wide", 0x0601, maker.value("wide", maker.dop("wide", coded(UNICODE, 64)), 3))
    maker.read("Read_Narrow", 0x0602, maker.value("narrow", maker.dop("narrow", coded(ASCII, 24)), 3))
    path = maker.write(tmp_path / "wide.pdx")
    profile = profile_of(import_odx(path, values={"Read_Wide.wide": "Tür!", "Read_Narrow.narrow": "abc"}))
    assert profile.dids[0x0601].value == "Tür!".encode("utf-16-be")
    assert profile.dids[0x0602].value == b"abc"


# ---- complex data


def test_fields_and_choices_are_as_short_as_they_may_be_and_the_first() -> None:
    maker = base()
    byte = maker.dop("b", coded(U32, 8))
    item = maker.structure("item", maker.value("one", byte, 0, default="7"), maker.value("two", byte, 1))
    maker.read("Read_Open", 0x0700, maker.value("items", maker.field("open", item, 2), 3))
    maker.read("Read_Static", 0x0701, maker.value("items", maker.static_field("static", item, 3, 2), 3))
    maker.read("Read_Counted", 0x0702, maker.value("items", maker.counted_field("counted", item, byte), 3))
    maker.read(
        "Read_Choice", 0x0703, maker.value("choice", maker.mux("choice", byte, first=(4, item), second=(5, item)), 3)
    )
    code = maker.dtcs("codes", B1000=(0x900000, "Bulb"))
    maker.read("Read_Last_Code", 0x0704, maker.value("code", code, 3))
    dids = profile_of(one(maker)).dids
    values = {number: did.value.hex() for number, did in dids.items() if number >= 0x0700}
    assert values == {
        0x0700: "07000700",
        0x0701: "070007000700",
        0x0702: "00",
        0x0703: "040700",
        0x0704: "900000",
    }


def test_many_values_of_one_identifier_are_named_in_part() -> None:
    maker = base()
    byte = maker.dop("b", coded(U32, 8))
    maker.read("Read_Many", 0x0700, *(maker.value(f"value_{number}", byte, 3 + number) for number in range(40)))
    document = one(maker)
    assert len(profile_of(document).dids[0x0700].value) == 40
    assert "and 36 more" in yaml_text(document, "x")


def test_a_parameter_that_only_a_tester_knows_is_listed() -> None:
    maker = base()
    byte = maker.dop("b", coded(U32, 8))
    maker.read(
        "Read_Clock",
        0x0700,
        SystemParameter(short_name="now", byte_position=3, dop_ref=maker.ref(byte), sysparam="SECOND"),
    )
    empty = maker.dtcs("none")
    maker.read("Read_No_Code", 0x0701, maker.value("code", empty, 3))
    maker.read("Read_Nothing", 0x0702, maker.value("choice", maker.mux("nothing", byte), 3))
    document = one(maker)
    assert "of the kind SYSTEM" in left_out(document, "Read_Clock")
    assert "none is described" in left_out(document, "Read_No_Code")
    assert "is a Multiplexer, which the importer does not fill in" in left_out(document, "Read_Nothing")


def test_a_value_that_nothing_fits_is_listed() -> None:
    maker = base()
    impossible = InternalConstr(
        lower_limit=Limit(value_raw="9", value_type=U32),
        upper_limit=Limit(value_raw="5", value_type=U32),
        value_type=U32,
    )
    never = maker.dop("never", coded(U32, 8), constraint=impossible)
    maker.read("Read_Never", 0x0700, maker.value("never", never, 3))
    assert "no value was found" in left_out(one(maker), "Read_Never")


def test_a_value_that_is_read_back_as_another_is_listed(tmp_path: Path) -> None:
    maker = base()
    maker.read("Read_Steps", 0x0700, maker.value("steps", maker.dop("steps", coded(U32, 8), linear(0, 0.5)), 3))
    path = maker.write(tmp_path / "steps.pdx")
    document = import_odx(path, values={"Read_Steps.steps": "3.3"})
    assert "steps set to 3.3 is read back as 3.5" in left_out(document, "Read_Steps")
    with pytest.raises(LocalMisuse, match="no value of type"):
        import_odx(path, values={"Read_Steps.steps": "half"})


def test_a_value_that_is_too_large_for_its_bytes_is_listed(tmp_path: Path) -> None:
    maker = base()
    maker.read("Read_Byte", 0x0700, maker.value("byte", maker.dop("b", coded(U32, 8)), 3))
    document = import_odx(maker.write(tmp_path / "byte.pdx"), values={"Read_Byte.byte": "300"})
    assert left_out(document, "Read_Byte")


def test_odd_services_are_listed_each_with_its_reason() -> None:
    maker = base()
    word, byte = maker.dop("w", coded(U32, 16)), maker.dop("b", coded(U32, 8))
    maker.sub("Session_Zero", 0x10, 0)
    maker.sub("Level_7F", 0x27, 0x7F)
    maker.sub("Level_1_Again", 0x27, 0x00)
    maker.read("Not_For_Use", 0x0700, maker.value("byte", byte, 3), executable=False)
    maker.write_data("Write_Nothing", 0x0701)
    maker.service(
        "Write_Told_More",
        [maker.const("SID", 0x2E, 0), maker.const("DID", 0x0702, 1, 16), maker.value("word", word, 3)],
        [maker.const("SID", 0x6E, 0), maker.const("DID", 0x0702, 1, 16), maker.value("more", byte, 3)],
    )
    maker.write_data("Write_Once", 0x0703, maker.value("word", word, 3))
    maker.write_data("Write_Twice", 0x0703, maker.value("word", word, 3))
    maker.routine("Routine_Four", 4, 0x0300)
    maker.routine("Routine_Start", 1, 0x0301, maker.value("result", byte, 4))
    maker.routine("Routine_Start_Again", 1, 0x0301)
    maker.routine("Routine_Stop", 2, 0x0301, asks=[maker.value("how", byte, 4)])
    document = one(maker)
    for name, said in (
        ("Session_Zero", "session 00"),
        ("Level_7F", "7F is no level"),
        ("Level_1_Again", "00 is no level"),
        ("Not_For_Use", "cannot be executed"),
        ("Write_Nothing", "no data"),
        ("Write_Told_More", "more than the identifier"),
        ("Write_Twice", "another service as well"),
        ("Routine_Four", "sub-function 04"),
        ("Routine_Start_Again", "another service for sub-function 01"),
        ("Routine_Stop", "options are taken when a routine is started"),
    ):
        assert said in left_out(document, name), name
    assert profile_of(document).routines[0x0301].stoppable


def test_conditions_that_a_profile_cannot_hold_are_listed() -> None:
    maker = base()
    maker.chart("SESSION", "Default", ("to_extended", "Default", "Extended"), ("to_more", "Extended", "More"))
    maker.chart("SECURITY", "Locked", ("unlock_1", "Locked", "One"), ("unlock_3", "Locked", "Three"))
    key = maker.dop("k", coded(U32, 64))
    maker.sub("Extended", 0x10, 3, transitions=["to_extended"])
    maker.sub("More", 0x10, 4, transitions=["to_more"], states=["Extended"])
    for level, name in ((1, "unlock_1"), (3, "unlock_3")):
        maker.sub(f"Seed_{level}", 0x27, level, maker.value("seed", key, 2), states=["Extended"])
        maker.sub(f"Key_{level}", 0x27, level + 1, asks=[maker.value("key", key, 2)], transitions=[name])
    maker.sub("Reset_Hard", 0x11, 1, states=["Extended"])
    maker.sub("Reset_Soft", 0x11, 3)
    maker.sub("Silence", 0x28, 3, asks=[maker.const("type", 1, 2)], states=["Extended", "More"])
    byte = maker.dop("b", coded(U32, 8))
    maker.read("Read_Either", 0x0700, maker.value("byte", byte, 3), states=["One", "Three"])
    maker.read("Read_Any", 0x0701, maker.value("byte", byte, 3), states=["Locked", "One"])
    document = one(maker)
    profile = profile_of(document)
    assert "every session follow" in left_out(document, "More")
    assert "conditions of their own" in left_out(document, "service 11")
    assert "levels 01, 03; a profile names one" in left_out(document, "Read_Either")
    assert profile.services[0x28].access.sessions == {3, 4}
    assert profile.dids[0x0700].read.security == 1  # type: ignore[union-attr]
    assert profile.dids[0x0701].read.security is None  # type: ignore[union-attr]
    assert profile.security[3].sessions == {3}


def test_one_row_of_a_table_may_be_all_that_is_asked_for() -> None:
    maker = base()
    word = maker.dop("w", coded(U32, 16))
    table = maker.table("rows", word, lamp=(0x0800, maker.structure("lamp", maker.value("lamp", word, 0))))
    maker.service(
        "Read_Key_Alone",
        [maker.const("SID", 0x22, 0), key_param(maker, "which", table, 1)],
        [maker.const("SID", 0x62, 0), key_param(maker, "which", table, 1), maker.value("rest", word, 3)],
    )
    maker.service(
        "Read_First_Row",
        [maker.const("SID", 0x22, 0), maker.const("DID", 0x0800, 1, 16)],
        [maker.const("SID", 0x62, 0), key_param(maker, "which", table, 1), struct_param("data", "which", 3)],
    )
    document = one(maker)
    assert profile_of(document).dids[0x0800].value == b"\0\0"


def test_more_choices_than_anybody_has_are_not_gone_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(odx_requests, "MAX_CHOICES", 1)
    document = import_odx(door().write(tmp_path / "door.pdx"))
    assert "has 2 choices; 1 are read" in left_out(document, "Read_Measured")


def test_codes_named_twice_and_codes_that_no_profile_takes_are_listed() -> None:
    maker = base()
    maker.dtcs("one", A=(0x010203, "First"), Z=(0xFFFFFF, "All of them"))
    maker.dtcs("two", B=(0x010203, "Second"))
    document = one(maker)
    assert "FFFFFF of 24 bits" in left_out(document, "Z")
    assert "is 'First' already" in left_out(document, "B")


def test_a_level_without_a_seed_is_no_service() -> None:
    maker = base()
    maker.sub("Key", 0x27, 2, asks=[maker.value("key", maker.dop("key", coded(U32, 32)), 2)])
    document = one(maker)
    assert 0x27 not in profile_of(document).services


def test_a_document_whose_reads_are_all_left_out_offers_no_read() -> None:
    maker = Maker("Odd")
    maker.sub("Default_Start", 0x10, 1)
    maker.service("Read_Silent", [maker.const("SID", 0x22, 0), maker.const("DID", 0x0302, 1, 16)], None)
    assert set(profile_of(one(maker)).services) == {0x10}
