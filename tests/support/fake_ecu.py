"""A control unit of a few lines for the tester's tests: answers scripted payloads after scripted delays, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vci_driver.car_map import CarMap, EcuEntry, UnlockScheme
from vci_driver.link import DiagnosticLink
from vci_driver.link_peer import LinkOptions
from wire.can_bus import CanBus
from wire.endpoint import Carrier, Endpoint
from wire.isotp_door import IsoTpOptions, Received
from wire.isotp_stack import IsoTpStack
from wire.world import World

MS = 1_000_000
Answer = bytes | Iterable[tuple[int, bytes]]
"""An answer at once, or several, each with its delay in milliseconds."""
Script = Callable[[bytes], Answer | None]


class _Stack(IsoTpStack):
    name = "fake ECU"


class FakeEcu:
    """Answers what `script` says. `heard` holds every request with its time; functional ones in `heard_functional`."""

    def __init__(
        self,
        world: World,
        carrier: Carrier,
        request_id: int,
        response_id: int,
        script: Script,
        functional_id: int | None = 0x700,
        options: IsoTpOptions | None = None,
    ) -> None:
        self.world = world
        self.script = script
        self.port = carrier
        self.heard: list[tuple[int, bytes]] = []
        self.heard_functional: list[tuple[int, bytes]] = []
        self._stack = _Stack()
        options = options or IsoTpOptions(padding=0xAA)
        self.channel = self._stack.add(0, tx_id=response_id, rx_id=request_id, options=options)
        if functional_id is not None:
            self._stack.add(0, tx_id=None, rx_id=functional_id, functional=True)
        ids = self._stack.listen_ids(0)
        self._endpoint = Endpoint(
            world, self._stack, [(carrier, ids)], events=self._stack.events, on_events=self._collect
        )

    def say(self, payload: bytes, delay_ms: float = 0) -> None:
        """Send `payload`, asked or not."""

        def go() -> None:
            self._stack.send(self.channel, payload, self.world.now_ns)
            self._endpoint.flush()

        self.world.call_at(self.world.now_ns + int(delay_ms * MS), go)

    def _collect(self) -> None:
        while (event := self._stack.next_event()) is not None:
            if isinstance(event, Received):
                functional = event.channel is not self.channel
                (self.heard_functional if functional else self.heard).append((self.world.now_ns, event.payload))
                answer = self.script(event.payload)
                if isinstance(answer, bytes):
                    self.say(answer)
                elif answer is not None:
                    for delay_ms, payload in answer:
                        self.say(payload, delay_ms)


CAR = CarMap(
    make="vag",
    gateway="gateway",
    functional_id=0x700,
    installed_units_did=0x2A26,
    vin_sources=("gateway", "engine"),
    ecus=(
        EcuEntry(name="gateway", address=0x19, request_id=0x710, response_id=0x77A, scheme=UnlockScheme.SFD),
        EcuEntry(name="engine", address=0x01, request_id=0x7E0, response_id=0x7E8),
        EcuEntry(name="cluster", address=0x17, request_id=0x714, response_id=0x77E, scheme=UnlockScheme.SFD),
    ),
)


def silent(_: bytes) -> None:
    """Script of a unit that is there and says nothing."""


class Table:
    """A world with one bus, the tester's link, and a fake ECU for each unit that has a script."""

    def __init__(self, car: CarMap = CAR, options: LinkOptions | None = None, **scripts: Script) -> None:
        self.world = World(seed=1)
        self.bus = CanBus(self.world, "obd", fd=car.fd)
        self.port = self.bus.attach("tester")
        self.link = DiagnosticLink(self.world, [self.port], car, options)
        self.ecus = {
            name: FakeEcu(
                self.world, self.bus.attach(name), car.ecu(name).request_id, car.ecu(name).response_id, script
            )
            for name, script in scripts.items()
        }
        if not scripts:
            self.bus.attach("somebody who acknowledges")

    @property
    def now_ms(self) -> float:
        return self.world.now_ns / MS
