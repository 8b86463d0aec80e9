"""Builds a PDX with odxtools' own classes and writer: an ECU described by someone else, small but of many data types."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from odxtools.comparam import Comparam
from odxtools.comparaminstance import ComparamInstance
from odxtools.comparamspec import ComparamSpec
from odxtools.comparamsubset import ComparamSubset
from odxtools.complexcomparam import ComplexComparam
from odxtools.compumethods.compucategory import CompuCategory
from odxtools.compumethods.compuconst import CompuConst
from odxtools.compumethods.compuinternaltophys import CompuInternalToPhys
from odxtools.compumethods.compurationalcoeffs import CompuRationalCoeffs
from odxtools.compumethods.compuscale import CompuScale
from odxtools.compumethods.identicalcompumethod import IdenticalCompuMethod
from odxtools.compumethods.limit import Limit
from odxtools.compumethods.linearcompumethod import LinearCompuMethod
from odxtools.compumethods.texttablecompumethod import TexttableCompuMethod
from odxtools.database import Database
from odxtools.dataobjectproperty import DataObjectProperty
from odxtools.determinenumberofitems import DetermineNumberOfItems
from odxtools.diagdatadictionaryspec import DiagDataDictionarySpec
from odxtools.diaglayercontainer import DiagLayerContainer
from odxtools.diaglayers.basevariant import BaseVariant
from odxtools.diaglayers.basevariantraw import BaseVariantRaw
from odxtools.diaglayers.diaglayertype import DiagLayerType
from odxtools.diaglayers.ecuvariant import EcuVariant
from odxtools.diaglayers.ecuvariantraw import EcuVariantRaw
from odxtools.diaglayers.protocol import Protocol
from odxtools.diaglayers.protocolraw import ProtocolRaw
from odxtools.diagnostictroublecode import DiagnosticTroubleCode
from odxtools.diagservice import DiagService
from odxtools.dtcdop import DtcDop
from odxtools.dynamiclengthfield import DynamicLengthField
from odxtools.endofpdufield import EndOfPduField
from odxtools.minmaxlengthtype import MinMaxLengthType
from odxtools.multiplexer import Multiplexer
from odxtools.multiplexercase import MultiplexerCase
from odxtools.multiplexerswitchkey import MultiplexerSwitchKey
from odxtools.nameditemlist import NamedItemList
from odxtools.odxlink import DocType, OdxDocFragment, OdxLinkId, OdxLinkRef
from odxtools.odxtypes import DataType
from odxtools.parameters.codedconstparameter import CodedConstParameter
from odxtools.parameters.matchingrequestparameter import MatchingRequestParameter
from odxtools.parameters.nrcconstparameter import NrcConstParameter
from odxtools.parameters.tablekeyparameter import TableKeyParameter
from odxtools.parameters.tablestructparameter import TableStructParameter
from odxtools.parameters.valueparameter import ValueParameter
from odxtools.parentref import ParentRef
from odxtools.physicaltype import PhysicalType
from odxtools.preconditionstateref import PreConditionStateRef
from odxtools.progcode import ProgCode
from odxtools.protstack import ProtStack
from odxtools.request import Request
from odxtools.response import Response, ResponseType
from odxtools.singleecujob import SingleEcuJob
from odxtools.standardizationlevel import StandardizationLevel
from odxtools.standardlengthtype import StandardLengthType
from odxtools.state import State
from odxtools.statechart import StateChart
from odxtools.statetransition import StateTransition
from odxtools.statetransitionref import StateTransitionRef
from odxtools.staticfield import StaticField
from odxtools.structure import Structure
from odxtools.table import Table
from odxtools.tablerow import TableRow
from odxtools.termination import Termination
from odxtools.text import Text
from odxtools.unit import Unit
from odxtools.unitspec import UnitSpec
from odxtools.usage import Usage
from odxtools.writepdxfile import write_pdx_file
from packaging.version import Version

U32, I32, F32 = DataType.A_UINT32, DataType.A_INT32, DataType.A_FLOAT32
ASCII, UNICODE, FIELD = DataType.A_ASCIISTRING, DataType.A_UNICODE2STRING, DataType.A_BYTEFIELD
LINK = {
    "CP_UniqueRespIdTable": ["0x7A1", "normal 11-bit", "0x7A9"],
    "CP_CanFuncReqId": "0x7DF",
    "CP_P2Max_Ecu": "40000",
    "CP_P2Star_Ecu": "4000000",
    "CP_TesterPresentTime_Ecu": "6000000",
    "CP_CanFillerByte": "85",
    "CP_CanFillerByteHandling": "Padding enabled",
}


def coded(kind: DataType, bits: int) -> StandardLengthType:
    return StandardLengthType(base_data_type=kind, bit_length=bits)


def linear(offset: float, factor: float, physical: DataType = DataType.A_FLOAT64, internal: DataType = U32) -> Any:
    scale = CompuScale(
        compu_rational_coeffs=CompuRationalCoeffs(
            value_type=DataType.A_FLOAT64, numerators=[offset, factor], denominators=[1]
        ),
        domain_type=internal,
        range_type=physical,
    )
    return LinearCompuMethod(
        category=CompuCategory.LINEAR,
        compu_internal_to_phys=CompuInternalToPhys(compu_scales=[scale]),
        internal_type=internal,
        physical_type=physical,
    )


def texts(**values: int) -> Any:
    scales = [
        CompuScale(
            compu_const=CompuConst(v=None, vt=text, data_type=DataType.A_UTF8STRING),
            lower_limit=Limit(value_raw=str(value), value_type=U32),
            upper_limit=Limit(value_raw=str(value), value_type=U32),
            domain_type=U32,
            range_type=UNICODE,
        )
        for text, value in values.items()
    ]
    return TexttableCompuMethod(
        category=CompuCategory.TEXTTABLE,
        compu_internal_to_phys=CompuInternalToPhys(compu_scales=scales),
        internal_type=U32,
        physical_type=UNICODE,
    )


class Maker:
    """Collects what one ECU has; `write` makes the file. Names are short names."""

    def __init__(self, name: str = "Door") -> None:
        self.name = name
        self.frags = [OdxDocFragment(f"{name}_container", DocType.CONTAINER)]
        self.dops: list[DataObjectProperty] = []
        self.structures: list[Structure] = []
        self.fields: list[EndOfPduField] = []
        self.static_fields: list[StaticField] = []
        self.counted_fields: list[DynamicLengthField] = []
        self.muxes: list[Multiplexer] = []
        self.tables: list[Table] = []
        self.dtc_dops: list[DtcDop] = []
        self.units: list[Unit] = []
        self.services: list[Any] = []
        self.requests: list[Request] = []
        self.positive: list[Response] = []
        self.negative: list[Response] = []
        self.charts: list[StateChart] = []
        self.link: dict[str, Any] = dict(LINK)
        self.variants = [name]
        self.with_code = False

    # ---- small parts

    def id(self, text: str) -> OdxLinkId:
        return OdxLinkId(text, tuple(self.frags))

    def ref(self, text: str) -> OdxLinkRef:
        return OdxLinkRef(text, tuple(self.frags))

    def dop(
        self,
        name: str,
        coded_type: Any,
        method: Any = None,
        *,
        physical: DataType | None = None,
        unit: str | None = None,
        constraint: Any = None,
    ) -> str:
        base = coded_type.base_data_type
        physical = physical or (method.physical_type if method else UNICODE if base == ASCII else base)
        method = method or IdenticalCompuMethod(
            category=CompuCategory.IDENTICAL, internal_type=base, physical_type=physical
        )
        if unit is not None and unit not in [known.short_name for known in self.units]:
            self.units.append(Unit(odx_id=self.id(f"unit.{unit}"), short_name=unit, display_name=unit))
        self.dops.append(
            DataObjectProperty(
                odx_id=self.id(f"dop.{name}"),
                short_name=name,
                diag_coded_type=coded_type,
                physical_type=PhysicalType(base_data_type=physical),
                compu_method=method,
                unit_ref=None if unit is None else self.ref(f"unit.{unit}"),
                internal_constr=constraint,
            )
        )
        return f"dop.{name}"

    def const(self, name: str, value: int, at: int | None, bits: int = 8) -> CodedConstParameter:
        return CodedConstParameter(
            short_name=name, byte_position=at, coded_value_raw=str(value), diag_coded_type=coded(U32, bits)
        )

    def value(
        self, name: str, dop: str, at: int | None = None, *, default: str | None = None, bit: int | None = None
    ) -> ValueParameter:
        return ValueParameter(
            short_name=name,
            byte_position=at,
            bit_position=bit,
            dop_ref=self.ref(dop),
            physical_default_value_raw=default,
        )

    def structure(self, name: str, *parameters: Any) -> str:
        self.structures.append(
            Structure(odx_id=self.id(f"struct.{name}"), short_name=name, parameters=NamedItemList(parameters))
        )
        return f"struct.{name}"

    def service(
        self,
        name: str,
        request: Sequence[Any],
        response: Sequence[Any] | None,
        *,
        states: Sequence[str] = (),
        transitions: Sequence[str] = (),
        long_name: str | None = None,
        executable: bool = True,
    ) -> None:
        self.requests.append(
            Request(odx_id=self.id(f"rq.{name}"), short_name=f"RQ_{name}", parameters=NamedItemList(request))
        )
        if response is not None:
            self.positive.append(
                Response(
                    odx_id=self.id(f"pr.{name}"),
                    short_name=f"PR_{name}",
                    response_type=ResponseType.POSITIVE,
                    parameters=NamedItemList(response),
                )
            )
        sid = int(request[0].coded_value_raw)
        self.negative.append(
            Response(
                odx_id=self.id(f"nr.{name}"),
                short_name=f"NR_{name}",
                response_type=ResponseType.NEGATIVE,
                parameters=NamedItemList(
                    [
                        self.const("SID", 0x7F, 0),
                        self.const("RSID", sid, 1),
                        NrcConstParameter(
                            short_name="NRC",
                            byte_position=2,
                            coded_values_raw=[
                                str(nrc) for nrc in (0x11, 0x12, 0x13, 0x22, 0x24, 0x31, 0x33, 0x7E, 0x7F)
                            ],
                            diag_coded_type=coded(U32, 8),
                        ),
                    ]
                ),
            )
        )
        self.services.append(
            DiagService(
                odx_id=self.id(f"sv.{name}"),
                short_name=name,
                long_name=long_name,
                is_executable_raw=executable,
                request_ref=self.ref(f"rq.{name}"),
                pos_response_refs=[] if response is None else [self.ref(f"pr.{name}")],
                neg_response_refs=[self.ref(f"nr.{name}")],
                pre_condition_state_refs=[
                    PreConditionStateRef(ref_id=f"state.{state}", ref_docs=tuple(self.frags)) for state in states
                ],
                state_transition_refs=[
                    StateTransitionRef(ref_id=f"move.{move}", ref_docs=tuple(self.frags)) for move in transitions
                ],
            )
        )

    def read(self, name: str, did: int, *values: Any, **more: Any) -> None:
        self.service(
            name,
            [self.const("SID", 0x22, 0), self.const("DID", did, 1, 16)],
            [self.const("SID", 0x62, 0), self.const("DID", did, 1, 16), *values],
            **more,
        )

    def write_data(self, name: str, did: int, *values: Any, **more: Any) -> None:
        self.service(
            name,
            [self.const("SID", 0x2E, 0), self.const("DID", did, 1, 16), *values],
            [self.const("SID", 0x6E, 0), self.const("DID", did, 1, 16)],
            **more,
        )

    def sub(self, name: str, sid: int, sub: int, *rest: Any, asks: Sequence[Any] = (), **more: Any) -> None:
        self.service(
            name,
            [self.const("SID", sid, 0), self.const("SUB", sub, 1), *asks],
            [self.const("SID", sid + 0x40, 0), self.const("SUB", sub, 1), *rest],
            **more,
        )

    def routine(self, name: str, sub: int, rid: int, *result: Any, asks: Sequence[Any] = (), **more: Any) -> None:
        self.service(
            name,
            [self.const("SID", 0x31, 0), self.const("SUB", sub, 1), self.const("RID", rid, 2, 16), *asks],
            [self.const("SID", 0x71, 0), self.const("SUB", sub, 1), self.const("RID", rid, 2, 16), *result],
            **more,
        )

    def chart(self, semantic: str, start: str, *moves: tuple[str, str, str]) -> None:
        names = list(dict.fromkeys([start, *(state for _, source, target in moves for state in (source, target))]))
        self.charts.append(
            StateChart(
                odx_id=self.id(f"chart.{semantic}"),
                short_name=f"chart_{semantic}",
                semantic=semantic,
                start_state_snref=start,
                states=NamedItemList([State(odx_id=self.id(f"state.{name}"), short_name=name) for name in names]),
                state_transitions=[
                    StateTransition(
                        odx_id=self.id(f"move.{name}"), short_name=name, source_snref=source, target_snref=target
                    )
                    for name, source, target in moves
                ],
            )
        )

    def dtcs(self, name: str, bits: int = 24, **codes: tuple[int, str]) -> str:
        self.dtc_dops.append(
            DtcDop(
                odx_id=self.id(f"dtc.{name}"),
                short_name=name,
                diag_coded_type=coded(U32, bits),
                physical_type=PhysicalType(base_data_type=U32),
                compu_method=IdenticalCompuMethod(
                    category=CompuCategory.IDENTICAL, internal_type=U32, physical_type=U32
                ),
                dtcs_raw=[
                    DiagnosticTroubleCode(
                        odx_id=self.id(f"dtc.{name}.{short}"), short_name=short, trouble_code=code, text=Text(text=text)
                    )
                    for short, (code, text) in codes.items()
                ],
            )
        )
        return f"dtc.{name}"

    def field(self, name: str, structure: str, least: int | None = None) -> str:
        self.fields.append(
            EndOfPduField(
                odx_id=self.id(f"field.{name}"),
                short_name=name,
                structure_ref=self.ref(structure),
                min_number_of_items=least,
            )
        )
        return f"field.{name}"

    def static_field(self, name: str, structure: str, count: int, size: int) -> str:
        self.static_fields.append(
            StaticField(
                odx_id=self.id(f"static.{name}"),
                short_name=name,
                structure_ref=self.ref(structure),
                fixed_number_of_items=count,
                item_byte_size=size,
            )
        )
        return f"static.{name}"

    def counted_field(self, name: str, structure: str, count_dop: str) -> str:
        self.counted_fields.append(
            DynamicLengthField(
                odx_id=self.id(f"counted.{name}"),
                short_name=name,
                structure_ref=self.ref(structure),
                offset=1,
                determine_number_of_items=DetermineNumberOfItems(byte_position=0, dop_ref=self.ref(count_dop)),
            )
        )
        return f"counted.{name}"

    def mux(self, name: str, key_dop: str, **cases: tuple[int, str]) -> str:
        self.muxes.append(
            Multiplexer(
                odx_id=self.id(f"mux.{name}"),
                short_name=name,
                byte_position=1,
                switch_key=MultiplexerSwitchKey(byte_position=0, dop_ref=self.ref(key_dop)),
                cases=NamedItemList(
                    [
                        MultiplexerCase(
                            short_name=case,
                            structure_ref=self.ref(structure),
                            lower_limit=Limit(value_raw=str(key), value_type=U32),
                            upper_limit=Limit(value_raw=str(key), value_type=U32),
                        )
                        for case, (key, structure) in cases.items()
                    ]
                ),
            )
        )
        return f"mux.{name}"

    def table(self, name: str, key_dop: str, **rows: tuple[int, str]) -> str:
        self.tables.append(
            Table(
                odx_id=self.id(f"table.{name}"),
                short_name=name,
                key_dop_ref=self.ref(key_dop),
                table_rows_raw=[
                    TableRow(
                        odx_id=self.id(f"table.{name}.{row}"),
                        short_name=row,
                        table_ref=self.ref(f"table.{name}"),
                        key_raw=str(key),
                        structure_ref=self.ref(structure),
                    )
                    for row, (key, structure) in rows.items()
                ],
            )
        )
        return f"table.{name}"

    def job(self, name: str) -> None:
        self.with_code = True
        self.services.append(
            SingleEcuJob(
                odx_id=self.id(f"job.{name}"),
                short_name=name,
                prog_codes=[ProgCode(code_file="nothing.jar", syntax="JAR", revision="1")],
            )
        )

    # ---- the whole

    def database(self) -> Database:
        subset, spec = self._subset(), "UDS_spec"
        comparams = [
            ComparamInstance(value=value, spec_ref=OdxLinkRef(f"CP.{name}", subset.odx_id.doc_fragments))
            for name, value in self.link.items()
        ]
        comparam_spec = ComparamSpec(
            odx_id=OdxLinkId("CPS", (OdxDocFragment(spec, DocType.COMPARAM_SPEC),)),
            short_name=spec,
            prot_stacks=NamedItemList(
                [
                    ProtStack(
                        odx_id=OdxLinkId("CPS.stack", (OdxDocFragment(spec, DocType.COMPARAM_SPEC),)),
                        short_name="stack",
                        pdu_protocol_type="ISO_15765_3_on_ISO_15765_2",
                        physical_link_type="ISO_11898_2_DWCAN",
                        comparam_subset_refs=[OdxLinkRef.from_id(subset.odx_id)],
                    )
                ]
            ),
        )
        protocol = Protocol(
            diag_layer_raw=ProtocolRaw(
                variant_type=DiagLayerType.PROTOCOL,
                odx_id=self.id("protocol"),
                short_name="UDS",
                comparam_spec_ref=OdxLinkRef.from_id(comparam_spec.odx_id),
                prot_stack_snref="stack",
            )
        )
        base = BaseVariant(
            diag_layer_raw=BaseVariantRaw(
                variant_type=DiagLayerType.BASE_VARIANT,
                odx_id=self.id(f"{self.name}_base"),
                short_name=f"{self.name}_base",
                long_name=f"{self.name}, described by others",
                diag_data_dictionary_spec=DiagDataDictionarySpec(
                    data_object_props=NamedItemList(self.dops),
                    dtc_dops=NamedItemList(self.dtc_dops),
                    structures=NamedItemList(self.structures),
                    end_of_pdu_fields=NamedItemList(self.fields),
                    static_fields=NamedItemList(self.static_fields),
                    dynamic_length_fields=NamedItemList(self.counted_fields),
                    muxs=NamedItemList(self.muxes),
                    tables=NamedItemList(self.tables),
                    unit_spec=UnitSpec(units=NamedItemList(self.units)) if self.units else None,
                ),
                diag_comms_raw=self.services,
                requests=NamedItemList(self.requests),
                positive_responses=NamedItemList(self.positive),
                negative_responses=NamedItemList(self.negative),
                state_charts=NamedItemList(self.charts),
                comparam_refs=comparams,
                parent_refs=[ParentRef(layer_ref=OdxLinkRef.from_id(protocol.odx_id))],
            )
        )
        variants = [
            EcuVariant(
                diag_layer_raw=EcuVariantRaw(
                    variant_type=DiagLayerType.ECU_VARIANT,
                    odx_id=self.id(f"variant.{name}"),
                    short_name=name,
                    parent_refs=[ParentRef(layer_ref=OdxLinkRef.from_id(base.odx_id))],
                )
            )
            for name in self.variants
        ]
        database = Database(use_weakrefs=False)
        if self.with_code:
            database.add_auxiliary_file("nothing.jar", BytesIO(b"nothing"))
        database.short_name = self.name
        database.diag_layer_containers = NamedItemList(
            [
                DiagLayerContainer(
                    odx_id=self.id("container"),
                    short_name=f"{self.name}_container",
                    protocols=NamedItemList([protocol]),
                    base_variants=NamedItemList([base]),
                    ecu_variants=NamedItemList(variants),
                )
            ]
        )
        database.model_version = Version("2.2.0")
        database._comparam_subsets = NamedItemList([subset])
        database._comparam_specs = NamedItemList([comparam_spec])
        database.refresh()
        return database

    def _subset(self) -> ComparamSubset:
        frags = (OdxDocFragment("UDS_subset", DocType.COMPARAM_SUBSET),)
        dop = DataObjectProperty(
            odx_id=OdxLinkId("CP.dop", frags),
            short_name="plain",
            diag_coded_type=MinMaxLengthType(base_data_type=UNICODE, min_length=0, termination=Termination.END_OF_PDU),
            physical_type=PhysicalType(base_data_type=UNICODE),
            compu_method=IdenticalCompuMethod(
                category=CompuCategory.IDENTICAL, internal_type=UNICODE, physical_type=UNICODE
            ),
        )

        def plain(name: str) -> Comparam:
            return Comparam(
                odx_id=OdxLinkId(f"CP.{name}", frags),
                short_name=name,
                physical_default_value_raw="",
                dop_ref=OdxLinkRef("CP.dop", frags),
                param_class="COM",
                cptype=StandardizationLevel.STANDARD,
                cpusage=Usage.ECU_COMM,
            )

        table = ComplexComparam(
            odx_id=OdxLinkId("CP.CP_UniqueRespIdTable", frags),
            short_name="CP_UniqueRespIdTable",
            subparams=NamedItemList(
                [plain(name) for name in ("CP_CanPhysReqId", "CP_CanPhysReqFormat", "CP_CanRespUSDTId")]
            ),
            param_class="UNIQUE_ID",
            cptype=StandardizationLevel.STANDARD,
            cpusage=Usage.ECU_COMM,
        )
        return ComparamSubset(
            odx_id=OdxLinkId("CP", frags),
            short_name="UDS_subset",
            category="UDS",
            comparams=NamedItemList([plain(name) for name in LINK if name != "CP_UniqueRespIdTable"]),
            complex_comparams=NamedItemList([table]),
            data_object_props=NamedItemList([dop]),
        )

    def write(self, path: Path) -> Path:
        write_pdx_file(str(path), self.database())
        return path


def key_param(maker: Maker, name: str, table: str, at: int) -> TableKeyParameter:
    return TableKeyParameter(
        odx_id=maker.id(f"key.{name}.{table}.{at}"), short_name=name, byte_position=at, table_ref=maker.ref(table)
    )


def struct_param(name: str, key: str, at: int) -> TableStructParameter:
    return TableStructParameter(short_name=name, byte_position=at, table_key_snref=key)


def matching(name: str, at: int, of: int, size: int) -> MatchingRequestParameter:
    return MatchingRequestParameter(short_name=name, byte_position=at, request_byte_position=of, byte_length=size)
