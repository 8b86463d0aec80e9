"""The tester's plug in the vehicle's socket: on the virtual bus, or through a driver on a real one."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Protocol

from bench.bench_file import BenchSpec
from bench.car import BenchCar, ForeignCar
from bench.live.remote_car import RemoteCar
from bench.topology import Car, carried_bus
from bench.vehicle_file import OBD
from vci_driver.drivers.virtual import VirtualChannel
from vci_driver.link import DiagnosticLink
from vci_driver.link_peer import LinkOptions
from vci_driver.live_link import LiveLink
from vci_driver.registry import open_channel
from wire.trace import Trace
from wire.world import World

TESTER = "tester"


def plug_in_tester(
    world: World, car: BenchCar, spec: BenchSpec, trace: Trace, closing_stack: ExitStack
) -> tuple[VirtualChannel, DiagnosticLink]:
    """Return the plug and the diagnostic link through it. What is opened is closed by `closing_stack`."""
    if isinstance(car, Car):
        virtual = {"bus": car.buses[OBD], "name": TESTER, "supply_mv": lambda: car.state.supply_mv}
        plug = open_channel("virtual", OBD, virtual, world)
        assert isinstance(plug, VirtualChannel)
        make = DiagnosticLink if world.virtual else LiveLink
        return plug, make(world, [plug], car.car_map())
    assert spec.tester is not None
    through = spec.tester.carrier
    options = dict(through.options)
    if isinstance(car, RemoteCar) and options.get("interface") == "sgwbench":
        options.setdefault("control", str(car.control))
    channel = open_channel(through.driver, through.channel, options, world)
    closing_stack.callback(_close_held, world, channel)
    bus = carried_bus(world, car.spec.buses[0], channel)
    if trace.keeps:
        trace.attach(bus)
        bus.hear_all()
    if isinstance(car, ForeignCar):
        car.watch(bus)
    plug = VirtualChannel(bus.attach(TESTER), channel.supply_voltage_mv, name=channel.name)
    link_options = LinkOptions(delta_p2_ns=spec.tester.delta_p2_ns)
    if spec.tester.kernel_isotp:
        from vci_driver.kernel_isotp import KernelIsoTp  # noqa: PLC0415 - Linux alone has it

        bus.hear_all()  # the kernel sends and hears for us: the bus is there to watch
        kernel = KernelIsoTp(world, [through.channel])
        closing_stack.callback(_close_held, world, kernel)
        link = LiveLink(world, (), car.car_map(), link_options, transport=kernel)
    else:
        link = LiveLink(world, [plug], car.car_map(), link_options)

    def recovered() -> None:
        bus.carrier_is_back()
        link.recover()
        plug.carrier_recovered()

    channel.on_fault = plug.carrier_failed
    channel.on_recovered = recovered
    return plug, link


class _Closable(Protocol):
    def close(self) -> None:
        """Give back what was taken."""


def _close_held(world: World, opened: _Closable) -> None:
    """Close what lives in a world, not while somebody runs it."""
    with world.hold:
        opened.close()
