"""Judges: udsoncan's own client works with memory, transfers and files, and scapy reads and rebuilds every message of it."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import pytest
from ecu_bench import Ecu, S
from own_client import Straight, asking, client_of
from scapy.contrib.automotive.uds import UDS, UDS_RD, UDS_RDPR, UDS_RFT, UDS_RFTPR, UDS_RMBA, UDS_RU, UDS_TD, UDS_WMBA
from storage_unit import APPLICATION, Programmer, unit
from uds_judges import judge
from udsoncan import DataFormatIdentifier, Filesize, MemoryLocation
from udsoncan.client import Client
from udsoncan.exceptions import NegativeResponseException
from udsoncan.services import RequestFileTransfer

pytestmark = pytest.mark.judge("scapy and udsoncan")
RAM = MemoryLocation(0x1000, 16, address_format=32, memorysize_format=32)
Modes = RequestFileTransfer.ModeOfOperation


@pytest.fixture
def ecu() -> Ecu:
    return unit().extended()


@pytest.fixture
def client(ecu: Ecu) -> Client:
    return client_of(asking(ecu))


def moved(client: Client, data: bytes, per_block: int = 128) -> None:
    for counter, at in enumerate(range(0, len(data), per_block), start=1):
        echo = client.transfer_data(counter & 0xFF, data[at : at + per_block]).service_data
        assert echo.sequence_number_echo == counter & 0xFF


def fetched(client: Client, size: int) -> bytes:
    data, counter = b"", 1
    while len(data) < size:
        data += client.transfer_data(counter).service_data.parameter_records
        counter += 1
    client.request_transfer_exit()
    return data


def test_memory_is_written_and_read(client: Client) -> None:
    answer = client.write_memory_by_address(RAM, bytes(range(16))).service_data
    assert (answer.memory_location_echo.address, answer.memory_location_echo.memorysize) == (0x1000, 16)
    assert client.read_memory_by_address(RAM).service_data.memory_block == bytes(range(16))


def test_a_download_and_an_upload(client: Client) -> None:
    data = bytes(range(200))
    place = MemoryLocation(0x1000, 200, address_format=16, memorysize_format=8)
    assert client.request_download(place).service_data.max_length == 130
    moved(client, data)
    record = client.request_transfer_exit().service_data.parameter_records
    assert record == zlib.crc32(data).to_bytes(4, "big")
    assert client.request_upload(place).service_data.max_length == 130
    assert fetched(client, 200) == data


def test_a_compressed_download(client: Client) -> None:
    packed = zlib.compress(bytes(16))
    form = DataFormatIdentifier(compression=1, encryption=0)
    assert client.request_download(RAM, form).service_data.max_length == 130
    moved(client, packed)
    assert client.request_transfer_exit().positive


@pytest.mark.parametrize(
    ("act", "nrc"),
    [
        (lambda client: client.read_memory_by_address(MemoryLocation(0x9000, 1, 32, 32)), 0x31),
        (lambda client: client.request_download(MemoryLocation(0x1000, 1, 24, 24)), 0x31),
        (lambda client: client.transfer_data(1, b"x"), 0x24),
        (lambda client: client.request_transfer_exit(), 0x24),
        (lambda client: client.read_file("/nowhere"), 0x31),
    ],
)
def test_refusals_are_read_as_what_they_are(client: Client, act: Callable[[Client], object], nrc: int) -> None:
    with pytest.raises(NegativeResponseException) as refused:
        act(client)
    assert refused.value.response.code == nrc


def test_a_slow_block_is_waited_for(client: Client) -> None:
    client.request_download(MemoryLocation(0x3000, 128, 32, 32))
    moved(client, bytes(128))
    assert isinstance(client.conn, Straight)
    assert client.conn.talks[-1][1][0] == bytes.fromhex("7F 36 78")


def test_every_mode_of_a_file_transfer(client: Client, ecu: Ecu) -> None:
    listing = client.read_dir("/log").service_data
    assert (listing.moop_echo, listing.max_length, listing.dirinfo_length) == (Modes.ReadDir, 130, 13)
    assert fetched(client, 13) == b"trace.txt 14\n"
    trace = client.read_file("/log/trace.txt").service_data
    assert (trace.filesize.uncompressed, trace.filesize.compressed) == (14, 14)
    assert trace.dfi.get_byte_as_int() == 0
    assert fetched(client, 14) == b"engine started"
    added = client.add_file("/log/new", filesize=Filesize(uncompressed=300, width=4)).service_data
    assert (added.moop_echo, added.max_length) == (Modes.AddFile, 130)
    moved(client, b"a" * 128)
    ecu.run_for(6 * S)
    ecu.extended()
    resumed = client.resume_file("/log/new", filesize=300).service_data
    assert (resumed.moop_echo, resumed.fileposition) == (Modes.ResumeFile, 128)
    moved(client, b"b" * 172)
    client.request_transfer_exit()
    assert client.replace_file("/log/trace.txt", filesize=3).service_data.moop_echo == Modes.ReplaceFile
    moved(client, b"new")
    client.request_transfer_exit()
    read = client.read_file("/log/new").service_data
    assert read.filesize.uncompressed == 300
    assert fetched(client, 300) == b"a" * 128 + b"b" * 172
    assert client.delete_file("/log/new").service_data.moop_echo == Modes.DeleteFile


def test_both_judges_read_a_whole_flash_process() -> None:
    ecu = unit()
    programmer, ask = Programmer(ecu), asking(ecu)
    programmer.enter()
    for request in programmer.requests():
        judge(request, ask(request))
    judge(b"\x11\x01", ask(b"\x11\x01"))
    ecu.run_for(S)
    assert ecu.ask("22 F1 89") == "62 F1 89 30 30 30 32"


def test_scapy_builds_what_the_unit_takes_and_takes_apart_what_it_answers() -> None:
    ecu = unit().extended()

    def talk(request: UDS) -> UDS:
        return UDS(bytes.fromhex(ecu.ask(bytes(request))))

    place = {"memorySizeLen": 1, "memoryAddressLen": 2, "memoryAddress2": 0x1000, "memorySize1": 4}
    written = talk(UDS() / UDS_WMBA(**place, dataRecord=b"abcd"))
    assert written.service == 0x7D
    assert talk(UDS() / UDS_RMBA(**place)).dataRecord == b"abcd"
    accepted = talk(UDS() / UDS_RD(**place))
    assert accepted[UDS_RDPR].maxNumberOfBlockLength == b"\x82"
    assert (
        talk(UDS() / UDS_TD(blockSequenceCounter=1, transferRequestParameterRecord=b"efgh")).blockSequenceCounter == 1
    )
    assert ecu.ask("37").startswith("77")
    assert talk(UDS() / UDS_RU(**place)).service == 0x75
    assert talk(UDS() / UDS_TD(blockSequenceCounter=1)).transferResponseParameterRecord == b"efgh"
    assert ecu.ask("37").startswith("77")
    file = talk(UDS() / UDS_RFT(modeOfOperation=4, filePathAndName=b"/log/trace.txt"))[UDS_RFTPR]
    assert (file.maxNumberOfBlockLength, file.fileSizeUncompressedOrDirInfoLength, file.fileSizeCompressed) == (
        b"\x82",
        b"\x0e",
        b"\x0e",
    )
    assert APPLICATION == 0x0010_0000
