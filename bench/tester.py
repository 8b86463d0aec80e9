"""The tester on the bench: `vci_driver.tester.Tester` with a person in front of it, who knows their password and their phone."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from udsoncan.exceptions import NegativeResponseException
from udsoncan.Response import Response

from bench.person import Person
from vci_driver.drivers.virtual import VirtualChannel
from vci_driver.flashing import PROGRAMMING_LEVEL, FlashBlock, FlashReport
from vci_driver.link import DiagnosticLink
from vci_driver.link_peer import Unasked
from vci_driver.outcome import LockState, UnlockReport
from vci_driver.portal_client import PortalClient
from vci_driver.tester import Identification, Tester, UnitReport
from vci_driver.uds_connection import EcuClient
from wire.can_bus import CanBus
from wire.errors import LocalMisuse, NotOnThisCarrier
from wire.frame import Frame
from wire.portal_api import GetStatus, LoginStep, PortalError, Session
from wire.token import ALL_SCOPES, Role, Scope
from wire.uds import NEGATIVE_RESPONSE, Service

if TYPE_CHECKING:
    from bench.bench import Bench

RATES = {"slow": 0x01, "medium": 0x02, "fast": 0x03, "stop": 0x04}
TESTER_SERIAL = "SGW-BENCH-0001"


def role_of(word: str) -> Role:
    """Return a role by its word (`after-sales`). Raises `LocalMisuse`."""
    try:
        return Role[word.upper().replace("-", "_")]
    except KeyError:
        words = ", ".join(role.name.lower().replace("_", "-") for role in Role)
        raise LocalMisuse(f"unknown role {word!r}; there are: {words}") from None


def scope_of(words: Sequence[str] | None) -> Scope:
    """Return scopes by their words (`coding`, `output-tests`); None means all."""
    if words is None:
        return ALL_SCOPES
    scope = Scope(0)
    for word in words:
        try:
            scope |= Scope[word.upper().replace("-", "_")]
        except KeyError:
            raise LocalMisuse(f"unknown scope {word!r}") from None
    return scope


class BenchTester:
    """What a test or scenario does with the tester. Everything that `core` offers is there too."""

    def __init__(self, bench: Bench, core: Tester, channel: VirtualChannel) -> None:
        self.core = core
        self.channel = channel
        self.accepted_code: dict[str, str] = {}
        self._bench = bench
        self._login: tuple[str, Session] | None = None

    @property
    def link(self) -> DiagnosticLink:
        """The diagnostic link."""
        return self.core.link

    def login(self, person: str = "technician", *, code: str | None = None, password: str | None = None) -> None:
        """Log a person in, enrolling the phone at the first login. `code` None: as the phone shows it. Raises `PortalError`."""
        who = self._bench.person(person)
        used = ""

        def second_factor(step: LoginStep) -> str:
            nonlocal used
            if step.otpauth_uri is not None:
                who.enrol(step.otpauth_uri)
            used = code if code is not None else self._shown_code(who)
            return used

        self.core.login(
            who.email, who.password if password is None else password, second_factor, lambda: who.authenticator
        )
        self.accepted_code[person] = used
        session = self.core.portal.session
        assert session is not None
        self._login = (person, session)

    @property
    def person(self) -> str | None:
        """Who is logged in by `login`, as the portal sees it right now; asking takes no time."""
        if self._login is None or self._login[1] is not self.core.portal.session:
            return None
        try:
            self._bench.backend.handle(GetStatus(session=self._login[1].token), self._bench.world.utc_s())
        except PortalError:
            return None
        except NotOnThisCarrier:  # the portal is not ours to ask: the tester's own session has to do
            return self._login[0]
        return self._login[0]

    def _shown_code(self, who: Person) -> str:
        if who.authenticator is None:
            raise LocalMisuse(f"{who.name!r} has no authenticator to read a code from")
        return who.authenticator.fresh_code(self._bench.world)

    def race_login(self, person: str = "technician") -> list[PortalError]:
        """Log a person in on two testers with one code in one instant; return why one (or both) did not get in."""
        who = self._bench.person(person)
        clients = [PortalClient(self._bench.portal, f"{TESTER_SERIAL}-{name}") for name in ("A", "B")]
        steps = [client.begin_login(who.email, who.password) for client in clients]
        code = self._shown_code(who)
        lost = []
        for client, step in zip(clients, steps, strict=True):
            try:
                client.finish_login(step, code)
            except PortalError as error:
                lost.append(error)
        return lost

    def unplug(self, can_id: int | None = None, frames: int = 1) -> None:
        """Pull the adapter out of the socket: now, or when `frames` frames with `can_id` went by on the tester's bus."""
        tester = self._bench.spec.tester
        if tester is not None and tester.kernel_isotp:
            raise NotOnThisCarrier("the kernel's ISO-TP holds the interface: nobody pulls it out from here")
        with self._bench.world.hold:
            self._unplug(can_id, frames)

    def _unplug(self, can_id: int | None, frames: int) -> None:
        if can_id is None:
            self.channel.unplug()
            return
        world, bus, left = self._bench.world, self.channel.port.bus, frames

        def pull() -> None:
            bus.untap(count)
            self.channel.unplug()

        def count(now_ns: int, _bus: CanBus, frame: Frame, _sender: str) -> None:
            nonlocal left
            if frame.can_id == can_id:
                left -= 1
                if left == 0 and world.virtual:
                    world.call_at(now_ns, pull)
                elif left == 0:  # now: what is read in one go here may be all the rest
                    self.channel.unplug()
                    world.call_at(now_ns, lambda: bus.untap(count))

        bus.tap(count)

    def plug_in(self) -> None:
        """Put the adapter back; what was under way is lost."""
        with self._bench.world.hold:
            self.channel.replug()
            self.core.link.recover()

    def logout(self) -> None:
        """Log out."""
        self.core.logout()

    def identify(self) -> Identification:
        """Read the VIN and the installed units."""
        return self.core.identify()

    def scan(self) -> list[UnitReport]:
        """Global system scan."""
        return self.core.scan()

    def ecu(self, name: str) -> EcuClient:
        """Return udsoncan's client for a unit."""
        return self.core.ecu(name)

    def listen(self, name: str) -> deque[Unasked]:
        """Keep what a unit says by itself from now on: answers to events (0x86), periodic values (0x2A)."""
        return self.core.link.listen_unasked(name)

    def periodic(self, name: str, rate: str, *identifiers: int) -> deque[Unasked]:
        """Let a unit send periodic identifiers (0x01 for F201) at a rate: `slow`, `medium`, `fast`; `stop` ends them, all without
        a name. Return what it sends. Raises udsoncan's `NegativeResponseException`.
        """
        if rate not in RATES:
            raise LocalMisuse(f"unknown rate {rate!r}; there are: {', '.join(RATES)}")
        heard = self.listen(name)
        request = bytes((Service.ReadDataByPeriodicIdentifier, RATES[rate], *identifiers))
        answer = self.core.link.request(name, request)
        if answer[0] == NEGATIVE_RESPONSE:
            raise NegativeResponseException(Response.from_payload(answer))
        return heard

    def unlock(
        self, name: str, *, role: str = "after-sales", scope: Sequence[str] | None = None, hesitate_ns: int = 0
    ) -> UnlockReport:
        """Open the lock that holds `name`. Raises `UnlockFailed`. `hesitate_ns`: wait so long before token or proof."""
        return self.core.unlock(name, role=role_of(role), scope=scope_of(scope), hesitate_ns=hesitate_ns)

    def relock(self, name: str) -> None:
        """End the grant on command."""
        self.core.relock(name)

    def unlock_state(self, name: str) -> LockState:
        """Return whether the lock of `name` is open."""
        return self.core.unlock_state(name)

    def write_coding(self, name: str, data: bytes) -> None:
        """F199, F198, then the coding."""
        self.core.write_coding(name, data)

    def security_access(self, name: str, level: int) -> None:
        """Seed and key."""
        self.core.security_access(name, level)

    def flash(
        self,
        name: str,
        *blocks: FlashBlock,
        level: int = PROGRAMMING_LEVEL,
        stop_after: int | None = None,
    ) -> FlashReport:
        """Flash a unit, block by block, and reset it. `stop_after`: leave off behind so many TransferData."""
        return self.core.flash(name, blocks, level=level, stop_after=stop_after)
