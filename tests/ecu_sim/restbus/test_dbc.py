"""What a DBC may say, and what is said to whoever wrote a wrong one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from dbc_text import write_dbc

from ecu_sim.restbus.dbc import FOLDER, dbc_file, load_dbc
from wire.errors import ConfigError
from wire.frame import EXTENDED

ONE = """BO_ 256 M: 8 A
 SG_ CRC : 0|8@1+ (1,0) [0|0] "" B
 SG_ CNT : 8|4@1+ (1,0) [0|0] "" B
 SG_ V : 16|16@1+ (0.01,0) [0|0] "" B"""
CYCLE = 'BA_ "GenMsgCycleTime" BO_ 256 100;\n'


def test_the_shipped_dbcs_say_what_the_public_facts_say() -> None:
    messages = {message.name: message for message in load_dbc(FOLDER / "vag.dbc")}
    terminals = messages["Klemmen_Status_01"]
    assert (terminals.can_id, terminals.size, terminals.checksum_at) == (0x3C0, 4, 0)
    assert {name: signal.shift for name, signal in terminals.signals.items()} == {
        "Kl_S": 16,
        "Kl_15": 17,
        "Kl_X": 18,
        "Kl_50": 19,
    }
    assert terminals.counter is not None
    assert terminals.counter.size_bits == 4
    for name in ("vag", "mercedes"):
        for message in load_dbc(FOLDER / f"{name}.dbc"):
            assert message.counter is not None, message.name
            assert message.checksum_at == 0, message.name


def test_terminals_and_bonnet_are_told_without_ignition_and_the_rest_with_it() -> None:
    with_ignition = {message.name: message.with_terminal_15 for message in load_dbc(FOLDER / "vag.dbc")}
    assert with_ignition == {
        "Fahrt_01": True,
        "Motor_01": True,
        "Klemmen_Status_01": False,
        "Karosserie_01": False,
        "Kombi_01": True,
    }


def test_only_what_the_named_nodes_send_in_cycles_is_read(tmp_path: Path) -> None:
    other = 'BO_ 257 Other: 8 B\n SG_ W : 0|8@1+ (1,0) [0|0] "" A'
    once = 'BO_ 258 Once: 8 A\n SG_ X : 0|8@1+ (1,0) [0|0] "" B'
    messages = f"{ONE}\n\n{other}\n\n{once}"
    path = write_dbc(tmp_path, messages, f'{CYCLE}BA_ "GenMsgCycleTime" BO_ 257 20;')
    assert [message.name for message in load_dbc(path)] == ["M", "Other"]
    assert [message.name for message in load_dbc(path, ["A"])] == ["M"]


def test_a_file_without_our_attributes_is_told_which_signal_is_which(tmp_path: Path) -> None:
    path = write_dbc(tmp_path, ONE)
    (message,) = load_dbc(path, ["A"], {"speed_kmh": "M.V"})
    assert message.signals["V"].source == "speed_kmh"
    assert message.counter is message.checksum_at is None


def test_extended_and_fd_messages_keep_what_they_are(tmp_path: Path) -> None:
    wide = 'BO_ 2550136848 W: 32 A\n SG_ V : 0|8@1+ (1,0) [0|0] "" B'
    path = write_dbc(tmp_path, wide, 'BA_ "GenMsgCycleTime" BO_ 2550136848 100;\nBA_ "VFrameFormat" BO_ 2550136848 3;')
    (message,) = load_dbc(path)
    assert (message.can_id, message.size, message.fd) == (EXTENDED | 0x18000010, 32, True)


def test_a_checksum_in_a_big_endian_byte_and_a_first_value_are_found(tmp_path: Path) -> None:
    text = 'BO_ 256 M: 8 A\n SG_ CRC : 15|8@0+ (1,0) [0|0] "" B\n SG_ V : 16|8@1+ (1,0) [0|0] "" B'
    attributes = f'{CYCLE}BA_ "SgwChecksum" BO_ 256 "CRC";\nBA_ "GenSigStartValue" SG_ 256 V 7;'
    (message,) = load_dbc(write_dbc(tmp_path, text, attributes))
    assert message.checksum_at == 1
    assert message.signals["V"].initial_raw == 7


WRONG = {
    "no cycle": (ONE, "", "BO_", "no message of A, B has a cycle time"),
    "too quick": (ONE, 'BA_ "GenMsgCycleTime" BO_ 256 2;', "M", "from 5 ms on"),
    "unknown counter": (ONE, f'{CYCLE}BA_ "SgwCounter" BO_ 256 "CTN";', "M.SgwCounter", "did you mean 'CNT'?"),
    "checksum of 16 bits": (ONE, f'{CYCLE}BA_ "SgwChecksum" BO_ 256 "V";', "M.V", "one whole byte"),
    "checksum astride": (
        'BO_ 256 M: 8 A\n SG_ CRC : 4|8@1+ (1,0) [0|0] "" B',
        f'{CYCLE}BA_ "SgwChecksum" BO_ 256 "CRC";',
        "M.CRC",
        "one whole byte",
    ),
    "unknown source": (ONE, f'{CYCLE}BA_ "SgwSource" SG_ 256 V "sped_kmh";', "M.V.SgwSource", "'speed_kmh'?"),
    "unknown rule": (ONE, f'{CYCLE}BA_ "SgwChecksumRule" "xor";', "SgwChecksumRule", "there is: crc8-07"),
    "float": (
        'BO_ 256 M: 8 A\n SG_ F : 0|32@1- (1,0) [0|0] "" B',
        f'SIG_VALTYPE_ 256 F : 1;\n{CYCLE}BA_ "SgwSource" SG_ 256 F "speed_kmh";',
        "M.F",
        "floating-point",
    ),
    "multiplexed": (
        'BO_ 256 M: 8 A\n SG_ MUX M : 0|8@1+ (1,0) [0|0] "" B\n SG_ V m0 : 8|8@1+ (1,0) [0|0] "" B',
        CYCLE,
        "M",
        "multiplexed",
    ),
    "no frame so long": ('BO_ 256 M: 9 A\n SG_ V : 0|8@1+ (1,0) [0|0] "" B', CYCLE, "M", "no frame carries 9 bytes"),
    "overlap": (f'{ONE}\n SG_ X : 16|8@1+ (1,0) [0|0] "" B', CYCLE, "", "no DBC that can be read"),
    "no DBC": ("BO_ nonsense", CYCLE, "", "no DBC that can be read"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_says_where_and_what_would_be_right(tmp_path: Path, case: str) -> None:
    messages, attributes, key, says = WRONG[case]
    path = write_dbc(tmp_path, messages, attributes)
    with pytest.raises(ConfigError) as error:
        load_dbc(path)
    assert (error.value.path, error.value.key) == (str(path), key)
    assert says in error.value.problem


def test_a_file_that_is_not_there_or_not_text_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_dbc(tmp_path / "none.dbc")
    binary = tmp_path / "binary.dbc"
    binary.write_bytes(bytes(range(128, 256)))
    with pytest.raises(ConfigError, match="no DBC that can be read"):
        load_dbc(binary)


def test_a_node_or_signal_that_there_is_not_gets_a_suggestion(tmp_path: Path) -> None:
    path = write_dbc(tmp_path, ONE)
    with pytest.raises(ConfigError, match=r"no node 'C'; there are: A, B"):
        load_dbc(path, ["A", "C"])
    with pytest.raises(ConfigError, match=r"did you mean 'M\.V'\?"):
        load_dbc(path, ["A"], {"speed_kmh": "M.VV"})


def test_a_dbc_is_found_by_name_or_beside_the_vehicle(tmp_path: Path) -> None:
    assert dbc_file("vag", tmp_path) == FOLDER / "vag.dbc"
    own = write_dbc(tmp_path, ONE)
    assert dbc_file("own.dbc", tmp_path) == own
    with pytest.raises(ConfigError, match=r"there are: mercedes, vag"):
        dbc_file("skoda", tmp_path)
    with pytest.raises(ConfigError, match=r"no DBC 'other\.dbc' in"):
        dbc_file("other.dbc", tmp_path)


def test_without_cantools_one_sentence_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['cantools'] = None\n"
        "from ecu_sim.restbus.dbc import FOLDER, load_dbc\n"
        "from wire.errors import NotOnThisCarrier\n"
        "try:\n    load_dbc(FOLDER / 'vag.dbc')\n"
        "except NotOnThisCarrier as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "pip install 'sgw-bench[dbc]'" in done.stdout
