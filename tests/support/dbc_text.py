"""DBC files in the making, for tests: a message of one's own in a few words."""

from pathlib import Path

HEAD = """VERSION ""

NS_ :

BS_:

BU_: A B

"""
ATTRIBUTES = """
BA_DEF_ BO_ "GenMsgCycleTime" INT 0 60000;
BA_DEF_ BO_ "SgwCounter" STRING ;
BA_DEF_ BO_ "SgwChecksum" STRING ;
BA_DEF_ BO_ "SgwSentWith" ENUM "awake","terminal_15";
BA_DEF_ BO_ "VFrameFormat" ENUM "StandardCAN","ExtendedCAN","StandardCAN_FD","ExtendedCAN_FD";
BA_DEF_ SG_ "SgwSource" STRING ;
BA_DEF_ SG_ "GenSigStartValue" FLOAT -1e18 1e18;
BA_DEF_ "SgwChecksumRule" STRING ;
BA_DEF_DEF_ "GenMsgCycleTime" 0;
BA_DEF_DEF_ "SgwCounter" "";
BA_DEF_DEF_ "SgwChecksum" "";
BA_DEF_DEF_ "SgwSentWith" "awake";
BA_DEF_DEF_ "VFrameFormat" "StandardCAN";
BA_DEF_DEF_ "SgwSource" "";
BA_DEF_DEF_ "GenSigStartValue" 0;
BA_DEF_DEF_ "SgwChecksumRule" "";
"""


def dbc_text(messages: str, attributes: str = 'BA_ "GenMsgCycleTime" BO_ 256 100;') -> str:
    return f"{HEAD}{messages}\n{ATTRIBUTES}{attributes}\n"


def write_dbc(folder: Path, messages: str, attributes: str = 'BA_ "GenMsgCycleTime" BO_ 256 100;') -> Path:
    path = folder / "own.dbc"
    path.write_text(dbc_text(messages, attributes))
    return path
