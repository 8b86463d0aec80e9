"""A gateway on three virtual buses: a tester outside, scripted units inside, and ears on every bus that share no code with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from fake_ecu import FakeEcu, Script, silent

from sgw_sim.arming import Observation
from sgw_sim.gateway import Gateway, RouteSpec
from sgw_sim.profile import load_gateway
from wire.can_bus import CanBus
from wire.endpoint import Endpoint
from wire.faults import FaultInjector, FaultRule
from wire.frame import Frame
from wire.isotp_door import CLASSIC, Failed, FirstFrame, IsoTpOptions, Received
from wire.isotp_stack import IsoTpStack
from wire.token import Scope
from wire.world import World

MS, S = 1_000_000, 1_000_000_000
OWN_REQUEST, OWN_RESPONSE, FUNCTIONAL = 0x710, 0x77A, 0x700
UNITS = {"engine": (1, 0x7E0, 0x7E8), "gearbox": (1, 0x7E1, 0x7E9), "cluster": (2, 0x714, 0x77E)}
"""Name: port of the gateway, request and response identifier."""


def positive(payload: bytes) -> bytes:
    """Answer any request positively, in as many bytes."""
    return bytes((payload[0] + 0x40 & 0xFF,)) + payload[1:]


class OwnServer:
    """The gateway's own UDS server: hears everything, answers positively, functional or not."""

    def __init__(self) -> None:
        self.outputs: deque[bytes] = deque()
        self.frames: deque[tuple[int, bytes]] = deque()
        self.heard: list[tuple[bytes, bool]] = []
        self.reachable = True

    def receive(self, payload: bytes, functional: bool, now_ns: int) -> None:
        self.heard.append((payload, functional))
        if payload != b"\x3e\x80":
            self.outputs.append(positive(payload))

    def handle_timer(self, now_ns: int) -> None:
        pass

    def next_deadline(self) -> None:
        return None


class Ear:
    """Every frame of one bus, with its time, and whole requests put together by a few lines of its own."""

    def __init__(self, bus: CanBus) -> None:
        self.frames: list[tuple[int, int, bytes]] = []
        bus.tap(self._hear)

    def _hear(self, now_ns: int, _bus: CanBus, frame: Frame, _sender: str) -> None:
        self.frames.append((now_ns, frame.can_id, frame.data))

    def of(self, can_id: int) -> list[tuple[int, bytes]]:
        return [(at_ns, data) for at_ns, seen, data in self.frames if seen == can_id]

    def messages(self, can_id: int) -> list[bytes]:
        """Return the messages on one identifier; what is never completed counts with what there was of it."""
        found: list[bytes] = []
        want, part = 0, b""
        for _, data in self.of(can_id):
            kind = data[0] >> 4
            if kind in (0, 1) and want:
                found.append(part)
                want = 0
            if kind == 0:
                found.append(data[1 : 1 + data[0]])
            elif kind == 1:
                want, part = (data[0] & 0xF) << 8 | data[1], data[2:]
            elif kind == 2 and want:
                part += data[1:]
                if len(part) >= want:
                    found.append(part[:want])
                    want = 0
        return [*found, part] if want else found


class _Stack(IsoTpStack):
    name = "tester"


class TesterSide:
    """Sends and collects; waits for nothing by itself. `answers[unit]` and `began[unit]` hold (time, bytes)."""

    def __init__(self, world: World, bus: CanBus, options: IsoTpOptions) -> None:
        self.world = world
        self._stack = _Stack()
        self.port = bus.attach("tester")
        ids = {name: (request, response) for name, (_, request, response) in UNITS.items()}
        ids["gateway"] = (OWN_REQUEST, OWN_RESPONSE)
        self._channels = {
            name: self._stack.add(0, tx_id=request, rx_id=response, options=options, tag=name)
            for name, (request, response) in ids.items()
        }
        self._all = self._stack.add(0, tx_id=FUNCTIONAL, rx_id=None, functional=True, tag="all")
        self.answers: dict[str, list[tuple[int, bytes]]] = {name: [] for name in self._channels}
        self.began: dict[str, list[tuple[int, bytes]]] = {name: [] for name in self._channels}
        self.failures: list[Exception] = []
        stack = self._stack
        ports = [(self.port, stack.listen_ids(0))]
        self._endpoint = Endpoint(world, stack, ports, events=stack.events, on_events=self._collect)

    def _collect(self) -> None:
        while (event := self._stack.next_event()) is not None:
            name = str(event.channel.tag)
            if isinstance(event, Received):
                self.answers[name].append((self.world.now_ns, event.payload))
            elif isinstance(event, FirstFrame):
                self.began[name].append((self.world.now_ns, event.head))
            elif isinstance(event, Failed):
                self.failures.append(event.error)

    def send(self, unit: str, payload: bytes) -> None:
        self._stack.send(self._channels[unit], payload, self.world.now_ns)
        self._endpoint.flush()

    def send_all(self, payload: bytes) -> None:
        self._stack.send(self._all, payload, self.world.now_ns)
        self._endpoint.flush()

    def give_up(self) -> None:
        """Forget every transfer, as a tester that starts afresh does."""
        self._stack.drop()
        self._endpoint.flush()

    def texts(self, unit: str) -> list[bytes]:
        return [payload for _, payload in self.answers[unit]]


class Rig:
    """`scripts` by unit (silent without one); who is `absent` does not stand on its bus; the rest shapes gateway and buses."""

    def __init__(
        self,
        profile: str = "vag-j533",
        *,
        scripts: dict[str, Script] | None = None,
        default: Script = silent,
        absent: tuple[str, ...] = (),
        odometer_km: int = 12_345,
        granted: Scope | int = 0,
        tester: IsoTpOptions = CLASSIC,
        outside: IsoTpOptions = CLASSIC,
        inside: IsoTpOptions = CLASSIC,
        unit: IsoTpOptions = CLASSIC,
        inner_bitrate: int = 500_000,
        fd_outside: bool = False,
        fd_inside: bool = False,
        seed: int = 1,
        frame_ids: dict[str, tuple[int, ...]] | None = None,
        **profile_values: object,
    ) -> None:
        self.world = world = World(seed)
        self.obd = CanBus(world, "obd", fd=fd_outside)
        self.inner = [CanBus(world, name, bitrate=inner_bitrate, fd=fd_inside) for name in ("powertrain", "body")]
        self.outside, self.inside = Ear(self.obd), [Ear(bus) for bus in self.inner]
        self.server = OwnServer()
        self.granted = granted
        self.gateway = Gateway(
            "gateway",
            replace(load_gateway(profile), **profile_values),
            routes=[
                RouteSpec(
                    name=name,
                    port=port,
                    request_id=request,
                    response_id=response,
                    frame_ids=(frame_ids or {}).get(name, ()),
                )
                for name, (port, request, response) in UNITS.items()
            ],
            functional_ids=[FUNCTIONAL],
            server=self.server,
            own_ids=(OWN_REQUEST, OWN_RESPONSE),
            first=Observation(bonnet_open=False, odometer_km=odometer_km),
            released=lambda scope, now_ns: scope & self.granted == scope,
            transport=[outside, *(inside for _ in self.inner)],
        )
        ports = [bus.attach("gateway") for bus in (self.obd, *self.inner)]
        self.endpoint = Endpoint(
            world, self.gateway, [(port, self.gateway.listen_ids(number)) for number, port in enumerate(ports)]
        )
        self.tester = TesterSide(world, self.obd, tester)
        scripts = scripts or {}
        self.units = {
            name: FakeEcu(
                world,
                self.inner[port - 1].attach(name),
                request,
                response,
                scripts.get(name, default),
                FUNCTIONAL,
                unit,
            )
            for name, (port, request, response) in UNITS.items()
            if name not in absent
        }
        for bus in self.inner:
            bus.attach("somebody who acknowledges")

    def ask(self, unit: str, payload: bytes, wait_ns: int = 100 * MS) -> list[bytes]:
        """Send a request, let time pass, return what came back since."""
        before = len(self.tester.answers[unit])
        self.tester.send(unit, payload)
        self.world.run_for(wait_ns)
        return self.tester.texts(unit)[before:]

    def ask_all(self, payload: bytes, wait_ns: int = 100 * MS) -> dict[str, list[bytes]]:
        """Send a functional request; return who said what since."""
        before = {name: len(found) for name, found in self.tester.answers.items()}
        self.tester.send_all(payload)
        self.world.run_for(wait_ns)
        return {
            name: self.tester.texts(name)[before[name] :] for name in before if self.tester.texts(name)[before[name] :]
        }

    def disarm(self) -> None:
        """Open the bonnet."""
        self.gateway.observe(Observation(bonnet_open=True, odometer_km=12_345))

    def faults(self, *rules: FaultRule) -> FaultInjector:
        """Put faults on every bus."""
        injector = FaultInjector(self.world.rng("faults"))
        for rule in rules:
            injector.add(rule)
        for bus in (self.obd, *self.inner):
            bus.faults = injector
        return injector

    def quiet_inside(self) -> bool:
        """Whether no frame at all was seen on an inner bus."""
        return not any(ear.frames for ear in self.inside)


def after(delay_ms: float, then: Callable[[bytes], bytes] = positive) -> Script:
    """Script: answer after a while."""
    return lambda payload: [(delay_ms, then(payload))]
