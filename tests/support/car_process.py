"""A simulated unit in real time, in a thread with a world of its own: what stands at the other end of a cable."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping

from channel_pair import GROUP, multicast_port, real_world, require_multicast

from ecu_sim.node import EcuNode
from ecu_sim.profile import ACTIVE_SESSION, FREE, Did, EcuProfile, ServiceRule, Timing
from ecu_sim.server import UdsServer
from ecu_sim.vehicle_state import VehicleState
from vci_driver.car_map import CarMap, EcuEntry
from vci_driver.registry import open_channel
from wire.endpoint import Endpoint
from wire.entropy import SeededEntropy
from wire.isotp_door import IsoTpOptions

MS = 1_000_000
SLICE_NS = 50 * MS
"""How often the unit's thread looks whether it is to end."""
PATIENT = IsoTpOptions(padding=0x55, n_as_ns=10_000 * MS, n_bs_ns=10_000 * MS, n_cr_ns=10_000 * MS)
"""A busy machine may stop a thread for long: time-outs that are not under test are generous."""
VIN, SESSION, LONG, SLOW = 0xF190, 0xF186, 0x0100, 0x0200
LONG_VALUE = bytes(number * 7 & 0xFF for number in range(4092))
CAR = CarMap(
    make="vag",
    gateway="engine",
    functional_id=0x700,
    ecus=(
        EcuEntry(name="engine", address=0x01, request_id=0x7E0, response_id=0x7E8),
        EcuEntry(name="absent", address=0x02, request_id=0x7E1, response_id=0x7E9),
    ),
)


def profile(s3_ns: int = 5_000 * MS) -> EcuProfile:
    """Return a unit with a short, a long (answer of 4095 bytes) and a slow identifier."""
    return EcuProfile(
        name="engine",
        title="01 engine",
        address=0x01,
        request_id=0x7E0,
        response_id=0x7E8,
        functional_ids=(0x700,),
        services={sid: ServiceRule() for sid in (0x10, 0x22, 0x2E, 0x3E)},
        sessions=frozenset((1, 3)),
        dids={
            VIN: Did(did=VIN, value=b"WVWZZZCDZSW000001"),
            SESSION: Did(did=SESSION, source=ACTIVE_SESSION),
            LONG: Did(did=LONG, value=LONG_VALUE, write=FREE),
            SLOW: Did(did=SLOW, value=b"\x05", work_ns=200 * MS),
        },
        routines={},
        timing=Timing(s3_ns=s3_ns),
    )


@contextlib.contextmanager
def unit_on(channel: str, options: Mapping[str, object], unit: EcuProfile) -> Iterator[None]:
    """Let a unit answer on a python-can channel while the block runs; its errors are the block's."""
    ready, ending = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def serve() -> None:
        try:
            with real_world() as world:
                carrier = open_channel("python_can", channel, options, world)
                with contextlib.closing(carrier):
                    server = UdsServer(unit, entropy=SeededEntropy(world.rng("ecu")), vehicle=VehicleState())
                    node = EcuNode(server, PATIENT)
                    Endpoint(world, node, [(carrier, node.listen_ids())])
                    ready.set()
                    while not ending.is_set():
                        world.run_for(SLICE_NS)
        except Exception as error:  # noqa: BLE001 - told to whoever waits for this thread
            failures.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=serve, name="car")
    thread.start()
    try:
        assert ready.wait(10)
        yield
    finally:
        ending.set()
        thread.join(10)
        assert not thread.is_alive()
    if failures:
        raise failures[0]


def cable(kind: str) -> tuple[str, dict[str, object]]:
    """Return (channel, options) of a python-can bus of this kind that nobody else uses."""
    if kind == "udp_multicast":
        require_multicast()
        return GROUP, {"interface": kind, "port": multicast_port()}
    return f"cable-{os.getpid()}-{threading.get_ident()}", {"interface": kind}
