"""The transfer sequence in any order, against a model: memory equals it, nothing is loaded unerased, nothing is granted."""

from ecu_bench import S
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from storage_unit import CALIBRATION, CALIBRATION_SIZE, Programmer, image, unit

from ecu_sim.vehicle_state import PowerEvent

FIRST = b"0001" + b"\xff" * (CALIBRATION_SIZE - 4)
OFFSETS = st.integers(0, CALIBRATION_SIZE + 4)
SIZES = st.integers(0, CALIBRATION_SIZE + 4)


class FlashMachine(RuleBasedStateMachine):
    """`blank`: offsets that the model holds to be erased. `transfer`: (offset, size, done, counter) of the one that runs."""

    @initialize()
    def build(self) -> None:
        self.ecu = unit()
        self.programmer = Programmer(self.ecu)
        self.model = bytearray(FIRST)
        self.blank: set[int] = set()
        self.transfer: tuple[int, int, int, int] | None = None
        self.programming = self.open = self.fingerprint = False
        self.touched = False

    # ---- ways in

    @rule()
    def enter(self) -> None:
        if self.programming:
            return
        self.programmer.enter()
        self.programming = self.open = True
        self.fingerprint = False
        self.transfer = None

    @precondition(lambda self: self.programming)
    @rule()
    def say_who(self) -> None:
        assert self.programmer.ask("2E F1 5A 26 01 02").startswith("6E")
        self.fingerprint = True

    @precondition(lambda self: self.open)
    @rule()
    def close_level(self) -> None:
        self.ecu.server.state.open_level = None
        self.open = False

    @precondition(lambda self: self.programming and not self.open)
    @rule()
    def open_level(self) -> None:
        self.ecu.open_level(0x11)
        self.open = True

    # ---- the sequence

    @property
    def may(self) -> bool:
        return self.programming and self.open

    @rule()
    def erase(self) -> None:
        well = self.may and self.fingerprint and self.transfer is None
        assert (self.programmer.ask("31 01 FF 00 02") == "71 01 FF 00 00") is well
        if well:
            self.model[:] = b"\xff" * CALIBRATION_SIZE
            self.blank = set(range(CALIBRATION_SIZE))
            self.touched = True

    @rule(at=OFFSETS, size=SIZES)
    def request_download(self, at: int, size: int) -> None:
        inside = size > 0 and at + size <= CALIBRATION_SIZE
        erased = self.blank.issuperset(range(at, at + size))
        well = self.may and self.fingerprint and self.transfer is None and inside and erased
        request = b"\x34\x00\x44" + (CALIBRATION + at).to_bytes(4, "big") + size.to_bytes(4, "big")
        assert self.programmer.ask(request).startswith("74") is well
        if well:
            self.transfer = (at, size, 0, 0)
            self.touched = True

    @rule(size=st.integers(1, 140), ahead=st.sampled_from([1, 1, 1, 1, 0, 2, -1, 255]), fill=st.integers(0, 255))
    def send_block(self, size: int, ahead: int, fill: int) -> None:
        at, announced, done, counter = self.transfer or (0, 0, 0, 0)
        sent = (counter + ahead) & 0xFF
        answer = self.programmer.ask(bytes((0x36, sent)) + bytes((fill,)) * size)
        if self.transfer is None or size > 128 or not self.may:
            assert answer.startswith("7F 36")
        elif ahead in (0, 256) and counter:
            assert answer == f"76 {sent:02X}", "a repetition"
        elif ahead != 1 or done == announced:
            assert answer.startswith("7F 36")
        elif done + size > announced:
            assert answer == "7F 36 71"
            self.transfer = None
        else:
            assert answer == f"76 {sent:02X}"
            self.model[at + done : at + done + size] = bytes((fill,)) * size
            self.blank -= set(range(at + done, at + done + size))
            self.transfer = (at, announced, done + size, sent)

    @rule()
    def exit(self) -> None:
        well = self.transfer is not None and self.transfer[1] == self.transfer[2] and self.may
        assert self.programmer.ask("37").startswith("77") is well
        if well:
            self.transfer = None

    # ---- ways out

    @rule(way=st.sampled_from(["10 01", "S3", "11 01", "supply"]))
    def leave(self, way: str) -> None:
        if way == "S3":
            self.ecu.run_for(6 * S)
        elif way == "supply":
            self.ecu.server.power(PowerEvent.BATTERY_LOST, self.ecu.now_ns)
            self.ecu.server.power(PowerEvent.BATTERY_BACK, self.ecu.now_ns)
        else:
            self.ecu.ask(way)
        self.ecu.run_for(S)
        self.programming = self.open = self.fingerprint = False
        self.transfer = None
        answer = self.ecu.ask("22 F1 87")
        assert answer.endswith("42 4F 4F 54") is self.touched, "an erased unit says that it is a boot loader"

    @invariant()
    def memory_is_the_model(self) -> None:
        if not hasattr(self, "model"):
            return
        cells = self.ecu.server.memory.storage.regions["calibration"]
        assert cells.read(0, CALIBRATION_SIZE) == bytes(self.model)

    def teardown(self) -> None:
        """Whatever happened, a flash repairs it."""
        if not hasattr(self, "model"):
            return
        self.leave("11 01")
        self.programmer.run()
        self.ecu.ask("11 01")
        self.ecu.run_for(S)
        assert self.ecu.ask("22 F1 89") == "62 F1 89 30 30 30 32"
        cells = self.ecu.server.memory.storage.regions["calibration"]
        assert cells.read(0, CALIBRATION_SIZE) == image("0002", CALIBRATION_SIZE)


FlashMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestFlash = FlashMachine.TestCase
