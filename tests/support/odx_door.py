"""A door's control unit as an ODX document describes it: the data types, services, tables and states an import has to know."""

from __future__ import annotations

from odx_maker import (
    ASCII,
    F32,
    FIELD,
    I32,
    U32,
    UNICODE,
    CompuCategory,
    IdenticalCompuMethod,
    Limit,
    Maker,
    MinMaxLengthType,
    Termination,
    coded,
    key_param,
    linear,
    struct_param,
    texts,
)
from odxtools.internalconstr import InternalConstr


def door(*, with_table: bool = True) -> Maker:
    """Return the whole unit. odxtools decodes no other read than the table's where there is one: it tries all that read."""
    maker = Maker()
    maker.chart("SESSION", "Default", ("to_extended", "Default", "Extended"), ("to_default", "Extended", "Default"))
    maker.chart("SECURITY", "Locked", ("unlock", "Locked", "Unlocked"))
    p2 = [maker.value("P2", maker.dop("p2", coded(U32, 16), unit="ms"), 2)]
    p2.append(maker.value("P2_star", maker.dop("p2_star", coded(U32, 16), linear(0, 10, U32), unit="ms"), 4))
    maker.sub("Default_Start", 0x10, 1, *p2, transitions=["to_default"])
    maker.sub("Extended_Start", 0x10, 3, *p2, transitions=["to_extended"], long_name="Extended session")
    maker.sub("Hard_Reset", 0x11, 1)
    suppress = maker.dop("suppress", coded(U32, 1), texts(no=0, yes=1))
    maker.service(
        "Tester_Present",
        [maker.const("SID", 0x3E, 0), maker.value("Suppress", suppress, 1, bit=7), maker.const("Sub", 0, 1, 7)],
        [maker.const("SID", 0x7E, 0), maker.const("Sub", 0, 1)],
    )
    _data(maker)
    if with_table:
        _table(maker)
    _security(maker)
    _routines(maker)
    _trouble_codes(maker)
    return maker


def _data(maker: Maker) -> None:
    celsius = maker.dop("celsius", coded(U32, 8), linear(-40, 1), unit="°C")
    volts = maker.dop("volts", coded(U32, 16), linear(0, 0.001), unit="V")
    signed = maker.dop("signed", coded(I32, 16))
    real = maker.dop("real", coded(F32, 32))
    window = maker.dop("window", coded(U32, 2), texts(closed=1, open=2, moving=3))
    flag = maker.dop("flag", coded(U32, 1))
    number = maker.dop("number", coded(ASCII, 80), physical=UNICODE)
    bounded = maker.dop(
        "bounded",
        coded(U32, 8),
        IdenticalCompuMethod(category=CompuCategory.IDENTICAL, internal_type=U32, physical_type=U32),
        constraint=InternalConstr(
            lower_limit=Limit(value_raw="5", value_type=U32),
            upper_limit=Limit(value_raw="9", value_type=U32),
            value_type=U32,
        ),
    )
    block = maker.dop("block", coded(FIELD, 32))
    word = maker.dop("word", coded(U32, 16))
    maker.read("Read_Temperature", 0x0101, maker.value("temperature", celsius, 3), long_name="Temperature of the motor")
    maker.read("Read_Supply", 0x0102, maker.value("voltage", volts, 3, default="12.6"))
    maker.read("Read_Position", 0x0103, maker.value("position", signed, 3))
    maker.read("Read_Force", 0x0104, maker.value("force", real, 3))
    maker.read(
        "Read_Window",
        0x0105,
        maker.value("state", window, 3, bit=0),
        maker.value("child_lock", flag, 3, bit=2),
        maker.value("level", bounded, 4),
    )
    maker.read("Read_Part_Number", 0xF187, maker.value("part_number", number, 3), long_name="Part number")
    maker.read("Read_Coding", 0x0600, maker.value("coding", block, 3), states=["Extended"])
    maker.write_data(
        "Write_Coding", 0x0600, maker.value("coding", block, 3), states=["Extended", "Unlocked"], long_name="Coding"
    )
    maker.write_data("Write_Secret", 0x0601, maker.value("secret", word, 3), states=["Extended"])
    inner = maker.structure("pair", maker.value("left", celsius, 0), maker.value("right", celsius, 1))
    maker.read("Read_Both", 0x0106, maker.value("both", inner, 3))


def _table(maker: Maker) -> None:
    word, celsius = "dop.word", "dop.celsius"
    row_one = maker.structure("speed_row", maker.value("speed", word, 0))
    row_two = maker.structure("mirror_row", maker.value("mirror", celsius, 0))
    table = maker.table("measured", word, speed=(0x0201, row_one), mirror=(0x0202, row_two))
    maker.service(
        "Read_Measured",
        [maker.const("SID", 0x22, 0), key_param(maker, "which", table, 1)],
        [maker.const("SID", 0x62, 0), key_param(maker, "which", table, 1), struct_param("data", "which", 3)],
    )


def _security(maker: Maker) -> None:
    seed = maker.dop("seed", coded(FIELD, 64))
    key = maker.dop("key", coded(FIELD, 32))
    maker.sub("Request_Seed", 0x27, 1, maker.value("seed", seed, 2), states=["Extended"])
    maker.sub("Send_Key", 0x27, 2, asks=[maker.value("key", key, 2)], transitions=["unlock"], states=["Extended"])


def _routines(maker: Maker) -> None:
    percent = maker.dop("percent", coded(U32, 8), unit="%")
    verdict = maker.dop("verdict", coded(U32, 8), texts(good=0, bad=1))
    maker.routine(
        "Move_Window",
        1,
        0x0203,
        maker.value("result", verdict, 4),
        asks=[maker.value("how_far", percent, 4, default="50")],
        states=["Extended"],
        long_name="Move the window",
    )
    maker.routine("Move_Window_Result", 3, 0x0203, maker.value("result", verdict, 4))
    maker.routine("Self_Test", 1, 0x0204, maker.value("result", verdict, 4))


def _trouble_codes(maker: Maker) -> None:
    dop = maker.dtcs("codes", B10A1=(0xB10A15, "Motor: open circuit"), U0100=(0xC10000, "No message from the engine"))
    status = maker.dop("status", coded(U32, 8))
    count = maker.dop("count", coded(U32, 16))
    entry = maker.structure("dtc_and_status", maker.value("code", dop, 0), maker.value("status", status, 3))
    maker.sub(
        "Read_Codes",
        0x19,
        2,
        maker.value("available", status, 2),
        maker.value("codes", maker.field("codes", entry), 3),
        asks=[maker.value("mask", status, 2, default="255")],
    )
    maker.sub(
        "Count_Codes",
        0x19,
        1,
        maker.value("available", status, 2),
        maker.const("format", 1, 3),
        maker.value("count", count, 4),
        asks=[maker.value("mask", status, 2, default="255")],
    )
    group = maker.dop("group", coded(U32, 24))
    maker.service(
        "Clear_Codes",
        [maker.const("SID", 0x14, 0), maker.value("group", group, 1, default=str(0xFFFFFF))],
        [maker.const("SID", 0x54, 0)],
    )


def text_field(maker: Maker, least: int = 2) -> str:
    """Return a property of text whose length is open."""
    open_text = MinMaxLengthType(
        base_data_type=ASCII, min_length=least, max_length=9, termination=Termination.END_OF_PDU
    )
    return maker.dop("open_text", open_text, physical=UNICODE)


__all__ = ["door", "text_field"]
