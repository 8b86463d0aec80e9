"""A file that is no sound ODX is one sentence that says what is wrong with it, whatever odxtools would make of it."""

from __future__ import annotations

import contextlib
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from odx_maker import U32, Maker, coded

from ecu_sim.importing import odx_file
from ecu_sim.importing.from_odx import import_odx
from wire.errors import ConfigError

ODX = "<ODX MODEL-VERSION='2.2.0'>{}</ODX>"
CONTAINER = ODX.format("<DIAG-LAYER-CONTAINER ID='a'><SHORT-NAME>a</SHORT-NAME></DIAG-LAYER-CONTAINER>")


def small() -> Maker:
    maker = Maker("Small")
    maker.sub("Default_Start", 0x10, 1)
    maker.read("Read_Fine", 0x0101, maker.value("fine", maker.dop("byte", coded(U32, 8)), 3))
    return maker


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return small().write(tmp_path_factory.mktemp("sound") / "sound.pdx").read_bytes()


def zipped(path: Path, *members: tuple[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as error:
        import_odx(path)
    text = str(error.value)
    assert text.startswith(str(path)), text
    assert "\n" not in text
    assert len(text) < 600
    return text


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is no XML"),
        (b"garbage \x00\xff", "is no XML"),
        (b"PK garbage", "is no sound ZIP file"),
        (b"<ODX", "is no XML"),
        (b"<html></html>", "is no ODX document: it begins with <html>"),
        (b"<?xml version='1.1'?>" + CONTAINER.encode(), "is XML 1.1; ODX is XML 1.0"),
        (b"<?xml version='1.0' encoding='klingon'?><ODX/>", "is no XML"),
        (b"<ODX/>", "is ODX none; versions that are read: 2.0.0"),
        (b"<ODX MODEL-VERSION='9.9.9'/>", "is ODX 9.9.9; versions"),
        (b"<ODX MODEL-VERSION='2.2.0'/>", "cannot be understood by odxtools: Each ODX document"),
        (ODX.format("<NEWS><SHORT-NAME>a</SHORT-NAME></NEWS>").encode(), "unknown ODX category"),
        (CONTAINER.encode(), "describes no ECU"),
        (b"<!DOCTYPE ODX [<!ENTITY a 'aaa'>]>" + CONTAINER.encode(), "has a document type"),
        (CONTAINER.replace("<SHORT-NAME>a</SHORT-NAME>", "").encode(), "cannot be understood"),
        ((b"<ODX MODEL-VERSION='2.2.0'>" + b"<A>" * 200 + b"</A>" * 200 + b"</ODX>"), "nested deeper than 100"),
    ],
)
def test_a_document_that_is_wrong_is_one_sentence(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "wrong.odx-d"
    path.write_bytes(data)
    assert said in refused(path)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none.pdx")
    assert "Is a directory" in refused(tmp_path)


def test_a_zip_without_a_document_is_one_sentence(tmp_path: Path) -> None:
    assert "holds no ODX document" in refused(zipped(tmp_path / "empty.pdx", ("readme.txt", "hello")))


@pytest.mark.parametrize("name", ["../a.odx-d", "/etc/a.odx-d", "b/../../a.odx-d", "..\\a.odx-d", "C:/a.odx-d"])
def test_a_name_that_leads_out_of_the_file_is_refused(tmp_path: Path, name: str) -> None:
    assert "leads out of it" in refused(zipped(tmp_path / "out.pdx", (name, CONTAINER)))


def test_a_file_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path / "bomb.pdx", ("a.odx-d", b"a" * 100_000), ("b.odx-d", b"a" * 100_000))
    monkeypatch.setattr(odx_file, "MAX_XML_BYTES", 150_000)
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("unpacked"))
    assert "unpacks to 200000 bytes" in refused(path)


def test_a_size_that_lies_is_found_out(tmp_path: Path) -> None:
    path = zipped(tmp_path / "lie.pdx", ("a.odx-d", b"a" * 100_000))
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<L", 10)
    path.write_bytes(data)
    assert "is no" in refused(path)


def test_too_many_members_and_too_large_a_file_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path / "many.pdx", *((f"{number}.txt", "") for number in range(20)))
    monkeypatch.setattr(odx_file, "MAX_MEMBERS", 19)
    assert "holds 20 files" in refused(path)
    monkeypatch.setattr(odx_file, "MAX_FILE_BYTES", 100)
    assert "at most 100" in refused(path)


def test_an_encrypted_member_is_one_sentence(tmp_path: Path) -> None:
    path = zipped(tmp_path / "secret.pdx", ("a.odx-d", CONTAINER))
    data = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + offset] |= 1
    path.write_bytes(data)
    assert "is encrypted" in refused(path)


@pytest.mark.parametrize("step", [7, 101, 997])
def test_a_file_with_a_wrong_byte_or_a_missing_end_never_ends_in_a_traceback(
    tmp_path: Path, sound: bytes, step: int
) -> None:
    path = tmp_path / "mutant.pdx"
    for at in range(0, len(sound), max(step, len(sound) // 40)):
        for data in (sound[:at], sound[:at] + bytes((sound[at] ^ 0x40,)) + sound[at + 1 :]):
            path.write_bytes(data)
            with contextlib.suppress(ConfigError):
                import_odx(path)


def replaced(sound: bytes, tmp_path: Path, edit: Callable[[str], str]) -> Path:
    with zipfile.ZipFile(_kept(sound, tmp_path)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    return zipped(
        tmp_path / "edited.pdx",
        *((name, edit(data.decode()) if name.endswith(".odx-d") else data) for name, data in members),
    )


def _kept(sound: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "kept.pdx"
    path.write_bytes(sound)
    return path


def test_an_ecu_without_any_service_is_one_sentence(tmp_path: Path) -> None:
    assert "describes no service that the bench knows" in refused(Maker("Empty").write(tmp_path / "none.pdx"))


def test_a_reference_that_leads_nowhere_is_one_sentence(tmp_path: Path, sound: bytes) -> None:
    path = replaced(
        sound, tmp_path, lambda text: text.replace('DOP-REF ID-REF="dop.byte"', 'DOP-REF ID-REF="dop.gone"')
    )
    assert "its references' cannot be understood by odxtools" in refused(path)


def test_two_versions_of_odx_in_one_file_are_one_sentence(tmp_path: Path, sound: bytes) -> None:
    path = replaced(sound, tmp_path, lambda text: text.replace('MODEL-VERSION="2.2.0"', 'MODEL-VERSION="2.0.0"'))
    assert "Different ODX versions" in refused(path)


def test_without_the_extra_the_sentence_says_how_to_install_it(
    tmp_path: Path, sound: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "odxtools", None)
    assert "pip install 'sgw-bench[odx]'" in refused(_kept(sound, tmp_path))


def test_the_sound_file_that_the_others_were_made_of_is_read(tmp_path: Path, sound: bytes) -> None:
    assert import_odx(_kept(sound, tmp_path)).summary().startswith("2 services, 1 identifier")
