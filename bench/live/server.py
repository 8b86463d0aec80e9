"""The car served in real time: one thread, one clock, one car after another on the same buses, steered by its control socket.

A car has a world of its own; another vehicle on the bench is another world on the same clock, so nothing of the last one stays.
What the carriers report is logged and counted; it never ends the server, and nothing is granted by it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bench.bench_file import BenchSpec
from bench.live.bus_loads import BusLoads
from bench.live.control import Connection, ControlSocket
from bench.live.keys_source import KeysSource
from bench.live.recording import Recording
from bench.live.request_log import RequestLog
from bench.live.snapshot import snapshot
from bench.live.verbs import play_verb
from bench.topology import Car, Wiring
from bench.vehicle_file import VehicleSpec, load_vehicle
from ecu_sim.unlock.trust import TrustStore
from scenarios.stage import RestBusChange, TransportChange, TroubleResult, VehicleChange
from vci_driver.api import ChannelLost, RawChannel
from vci_driver.registry import open_channel
from wire.carried_bus import CarriedBus
from wire.clock import NS_PER_MS, RealClock
from wire.errors import CarrierFault, ConfigError, LocalMisuse
from wire.faults import FaultRule
from wire.frame import Frame, checked
from wire.frame_stream import encode
from wire.plain import from_plain, to_plain
from wire.portal_api import AuditRecord
from wire.trace import Trace
from wire.trace_recorder import RecordingStopped, TraceRecorder
from wire.world import World

DEFAULT_VEHICLE = "vag-golf"
FOREVER_NS = 1 << 62
FAULTS_KEPT = 50
"""Of the carriers' faults the last ones are kept for whoever asks; all are logged."""

RESULTS_MAX = 1000
"""As in a scenario."""
SECONDS_MAX = 100 * 366 * 86_400
"""A century: no scenario moves a calendar further, and calendars end."""

Log = Callable[[str], None]
Args = Mapping[str, Any]


class CarServer:
    """Serves a bench file's car. `log` is told one line for whatever a person should know of."""

    def __init__(
        self,
        spec: BenchSpec,
        *,
        control: Path,
        keys: str | None,
        vehicle: str | None,
        log: Log,
        recording: Recording | None = None,
        on_world: Callable[[World], None] = lambda _: None,
    ) -> None:
        self.spec = spec
        early: list[str] = []
        self.log: Log = early.append
        self.clock = RealClock()
        self.faults: list[str] = []
        self.fault_count = 0
        self.overruns = self.worst_overrun_ns = 0
        self.loads = BusLoads()
        self.up_since_ns = self.clock.now_ns()
        self.ending = False
        self.keys = KeysSource(keys, self.clock.epoch_utc_s(), self._tell)
        self._renewed = False
        self._recording = recording
        self._recorders: list[TraceRecorder] = []
        self._on_world = on_world
        self.control_path = control
        self._channels: dict[str, RawChannel] = {}
        self.control: ControlSocket | None = None
        self.world: World
        self.car: Car
        self.requests: RequestLog
        try:
            self.put(load_vehicle(vehicle or spec.vehicle or DEFAULT_VEHICLE))
            self.control = ControlSocket(control, self.clock, lambda: self.world, self._serve)
        except BaseException:
            self.close()
            raise
        self.log = log
        for line in early:  # only of a car that is served: what keeps it from being served is one sentence
            log(line)

    def _tell(self, line: str) -> None:
        self.log(line)

    # ---- the car

    def put(self, spec: VehicleSpec) -> None:
        """Put a vehicle on the bench, in a new world; the one before is gone with all that was granted."""
        unknown = sorted(set(self.spec.buses) - {bus.name for bus in spec.buses})
        if unknown:
            raise ConfigError(
                f"{spec.name!r} has no bus {unknown[0]!r}; it has: {', '.join(bus.name for bus in spec.buses)}",
                path=str(self.spec.path or ""),
                key="buses",
            )
        self.clear()
        world = self.world
        self._channels = {
            name: open_channel(carrier.driver, carrier.channel, carrier.options, world)
            for name, carrier in self.spec.buses.items()
        }
        self.car = Car(
            world,
            spec,
            TrustStore(self.keys.keys),
            Trace(),
            epoch_utc_s=self.clock.epoch_utc_s(),
            wiring=Wiring(
                carriers=self._channels,
                paced=self.spec.paced,
                live=True,
                audited=self.spec.portal.url is None,
                traced=False,  # no digest repeats in real time, and recordings have taps of their own
            ),
        )
        for name, channel in self._channels.items():
            channel.on_fault = partial(self._on_fault, name)
            channel.on_recovered = partial(self._on_recovered, name)
        self.requests = RequestLog(spec)
        self.car.buses[spec.buses[0].name].tap(self.requests.see)
        self._record()
        self.keys.watch(world, self.car)
        for guest in tuple(self.control.connections) if self.control else ():
            if guest.bus in self.car.buses:
                self.attach(guest, guest.bus)
            elif guest.bus is not None:
                guest.close()  # this car has no such bus

    def clear(self) -> None:
        """Take the car off its buses: the bench stands empty, in a new world, until the next `put`. Guests wait for that."""
        self._leave_world()
        self._close_channels()
        connections = tuple(self.control.connections) if self.control else ()
        for guest in connections:
            guest.leave_bus()
        self.world = World(0, self.clock)
        self._renewed = True
        self._on_world(self.world)
        for connection in connections:
            connection.resume()

    def _leave_world(self) -> None:
        """End the recording of the last car, and remember what its world was late by."""
        for recorder in self._recorders:
            recorder.close()
        self._recorders = []
        world = getattr(self, "world", None)
        if world is not None:
            self.overruns += world.overruns
            self.worst_overrun_ns = max(self.worst_overrun_ns, world.worst_overrun_ns)
        self.loads = BusLoads()

    def overrun_count(self) -> int:
        """Return how many deadlines were late by more than a millisecond."""
        return self.overruns + self.world.overruns

    def worst_overrun_ms(self) -> float:
        """Return by how much the latest of them was."""
        return max(self.worst_overrun_ns, self.world.worst_overrun_ns) / NS_PER_MS

    def trace_state(self) -> dict[str, object] | None:
        """Return what is recorded where, or None."""
        if self._recording is None:
            return None
        stopped = [str(recorder.fault) for recorder in self._recorders if recorder.fault is not None]
        return {
            "folder": str(self._recording.folder),
            "frames": max((recorder.records_written for recorder in self._recorders), default=0),
            "stopped": stopped,
        }

    def _record(self) -> None:
        """Begin to record the car that stands there now."""
        if self._recording is not None:
            self._recorders = self._recording.begin(self.car, self._on_recording_stopped)

    def _on_recording_stopped(self, stopped: RecordingStopped) -> None:
        self.fault_count += 1
        self.faults = [*self.faults[1 - FAULTS_KEPT :], str(stopped)]
        self.log(str(stopped))

    def _close_channels(self) -> None:
        for channel in self._channels.values():
            try:
                channel.close()
            except CarrierFault as fault:
                self.log(str(fault))
        self._channels = {}

    def _on_fault(self, bus: str, fault: CarrierFault) -> None:
        text = f"bus {bus}: {fault}"
        self.fault_count += 1
        self.faults = [*self.faults[1 - FAULTS_KEPT :], text]
        self.log(text)
        if isinstance(fault, ChannelLost):
            self.log(f"bus {bus}: the car goes on without it; nothing is granted meanwhile")

    def _on_recovered(self, bus: str) -> None:
        carried = self.car.buses[bus]
        assert isinstance(carried, CarriedBus)
        carried.carrier_is_back()
        self.log(f"bus {bus}: {self._channels[bus].name} works again")

    # ---- running

    def run(self) -> None:
        """Serve until `end`. Raises `WorldStopped` for a mistake of our own."""
        while not self.ending:
            self._renewed = False
            self.world.run_until(lambda: self.ending or self._renewed, FOREVER_NS)

    def end(self) -> None:
        """End `run`; from a signal handler too."""
        self.ending = True
        self.clock.wake()

    def close(self) -> None:
        """Give everything back."""
        if self.control is not None:
            self.control.close()
        self._leave_world()
        self._close_channels()
        self.clock.close()

    # ---- calls

    def _serve(self, connection: Connection, line: str) -> object:
        """Serve one line of a connection."""
        request = _request(line)
        if request is None:
            return play_verb(self, line)
        name, args = request["call"], request.get("args", {})
        handler = CALLS.get(name) if isinstance(name, str) else None
        if handler is None:
            raise LocalMisuse(f"there is no call {name!r}; there are: {', '.join(CALLS)}")
        try:
            return to_plain(handler(self, connection, args))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise LocalMisuse(f"call {name!r} with wrong arguments: {error}") from None

    def attach(self, connection: Connection, bus: str) -> None:
        """Make a connection a place on a bus: it hears every frame there, and sends."""
        if self.car.world is not self.world:
            raise LocalMisuse("no car stands on this bench at the moment: its last program took it off (put one there)")
        found = self.car.buses.get(bus)
        if found is None:
            raise LocalMisuse(f"there is no bus {bus!r}; there are: {', '.join(self.car.buses)}")
        world = self.world
        start_ns = self.clock.epoch_utc_s() * 1_000_000_000
        port = found.attach(f"guest {id(connection):x}")

        def tell(frame: Frame, *, own: bool = False) -> None:
            connection.send(encode(start_ns + world.now_ns, frame, own=own))

        def take(frame: Frame) -> None:
            port.send(checked(frame))

        port.listen(None, tell)
        port.on_sent = partial(tell, own=True)
        connection.bus = bus
        connection.on_frame = take
        connection.on_close = port.close


def _request(line: str) -> Mapping[str, Any] | None:
    """Return the call that a line is, or None for a line that people wrote. Raises `ConfigError` for half a call."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        if line.lstrip("{ \t").startswith('"call"'):
            raise ConfigError(f"not a call: {error}") from None
        return None
    return request if "call" in request else None


def _text(args: Args, key: str) -> str:
    if not isinstance(args[key], str):
        raise TypeError(f"{key} is text")
    return str(args[key])


def _seconds(args: Args, key: str) -> int:
    if type(args[key]) is not int or abs(args[key]) > SECONDS_MAX:
        raise TypeError(f"{key} is a whole number, {SECONDS_MAX} at most")
    return int(args[key])


def _truth(args: Args, key: str) -> bool:
    if not isinstance(args[key], bool):
        raise TypeError(f"{key} is true or false")
    return bool(args[key])


def _put(server: CarServer, _: Connection, args: Args) -> object:
    server.put(load_vehicle(_text(args, "vehicle")))
    return {"buses": list(server.car.buses)}


def _attach(server: CarServer, connection: Connection, args: Args) -> object:
    bus = _text(args, "bus")
    server.attach(connection, bus)
    return {"bus": bus, "fd": server.car.buses[bus].fd}


def _report_trouble(server: CarServer, _: Connection, args: Args) -> object:
    code, times = args["code"], args["times"]
    if type(code) is not int or type(times) is not int or not 1 <= times <= RESULTS_MAX:
        raise TypeError(f"code and times are whole numbers, times {RESULTS_MAX} at most")
    return server.car.report_trouble(_text(args, "name"), code, from_plain(TroubleResult, args["result"]), times)


def _renew_keys(server: CarServer, _: Connection, __: Args) -> object:
    server.keys.renew(server.world, server.car)
    return None


CALLS: Mapping[str, Callable[[CarServer, Connection, Args], object]] = {
    "put": _put,
    "clear": lambda s, _, __: s.clear(),
    "attach": _attach,
    "renew_keys": _renew_keys,
    "change": lambda s, _, a: s.car.change(from_plain(VehicleChange, a["change"])),
    "change_rest_bus": lambda s, _, a: s.car.change_rest_bus(from_plain(RestBusChange, a["change"])),
    "reset": lambda s, _, a: s.car.reset(_text(a, "name")),
    "set_clock": lambda s, _, a: s.car.set_clock(
        _text(a, "name"), offset_s=_seconds(a, "offset_s"), is_set=_truth(a, "is_set")
    ),
    "put_date_forward": lambda s, _, a: s.car.put_date_forward(_seconds(a, "seconds")),
    "set_transport": lambda s, _, a: s.car.set_transport(_text(a, "name"), from_plain(TransportChange, a["change"])),
    "report_trouble": _report_trouble,
    "add_fault": lambda s, _, a: s.car.add_fault(from_plain(FaultRule, a["rule"])),
    "clear_faults": lambda s, _, __: s.car.clear_faults(),
    "bus_of": lambda s, _, a: s.car.bus_of(_text(a, "name")),
    "grant_ident": lambda s, _, a: s.car.grant_ident(_text(a, "name")),
    "audit": lambda s, _, a: s.car.audit(from_plain(AuditRecord, a["record"])),
    "findings": lambda s, _, __: s.car.findings(),
    "state": lambda s, _, __: snapshot(s),
    "end": lambda s, _, __: s.end(),
}
