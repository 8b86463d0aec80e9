"""A car that another process serves, as `bench.car.BenchCar`: each act is a call through its control socket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from bench.car import Findings
from bench.car_facts import car_map
from bench.live.client import ControlClient
from bench.vehicle_file import VehicleSpec
from scenarios.stage import RestBusChange, TransportChange, TroubleResult, VehicleChange
from vci_driver.car_map import CarMap
from wire.errors import NotOnThisCarrier
from wire.faults import FaultRule
from wire.key_set import save_key_set
from wire.plain import from_plain
from wire.portal_api import AuditRecord, KeySet

if TYPE_CHECKING:
    from bench.topology import Unit


class RemoteCar:
    """A served car. Its witness stands beside it, on its buses, and is told of the portal's audit records from here."""

    def __init__(
        self, spec: VehicleSpec, client: ControlClient, keys_file: Path | None, release: Callable[[], None]
    ) -> None:
        self.spec = spec
        self.control = client.path
        self._client = client
        self._keys_file = keys_file
        self._release = release

    def car_map(self) -> CarMap:
        """See `BenchCar`."""
        return car_map(self.spec)

    def unit(self, name: str) -> Unit:
        """Refuse: it lives in another process."""
        raise NotOnThisCarrier(f"unit {name!r} lives in the process that serves the car: its inside is out of reach")

    def change(self, change: VehicleChange) -> None:
        """See `BenchCar`."""
        self._client.call("change", change=change)

    def change_rest_bus(self, change: RestBusChange) -> None:
        """See `BenchCar`."""
        self._client.call("change_rest_bus", change=change)

    def reset(self, name: str) -> None:
        """See `BenchCar`."""
        self._client.call("reset", name=name)

    def set_clock(self, name: str, *, offset_s: int, is_set: bool) -> None:
        """See `BenchCar`."""
        self._client.call("set_clock", name=name, offset_s=offset_s, is_set=is_set)

    def put_date_forward(self, seconds: int) -> None:
        """See `BenchCar`."""
        self._client.call("put_date_forward", seconds=seconds)

    def set_transport(self, name: str, change: TransportChange) -> None:
        """See `BenchCar`."""
        self._client.call("set_transport", name=name, change=change)

    def report_trouble(self, name: str, code: int, result: TroubleResult, times: int) -> bool:
        """See `BenchCar`."""
        return cast("bool", self._client.call("report_trouble", name=name, code=code, result=result, times=times))

    def set_bitrate(self, bus: str, bitrate: int) -> None:  # noqa: ARG002
        """Refuse: its tester's end stands in another process, and would stay at the old rate."""
        raise NotOnThisCarrier(f"bus {bus!r} is carried to another process: its bit rate is not ours to set")

    def add_fault(self, rule: FaultRule) -> FaultRule:
        """See `BenchCar`."""
        return from_plain(FaultRule, self._client.call("add_fault", rule=rule))

    def clear_faults(self) -> None:
        """See `BenchCar`."""
        self._client.call("clear_faults")

    def bus_of(self, name: str) -> str:
        """See `BenchCar`."""
        return cast("str", self._client.call("bus_of", name=name))

    def grant_ident(self, name: str) -> str | None:
        """See `BenchCar`."""
        return cast("str | None", self._client.call("grant_ident", name=name))

    def take_keys(self, keys: KeySet) -> None:
        """Put the keys where it reads them, if that is a file of this bench, and have it look."""
        if self._keys_file is not None:
            save_key_set(self._keys_file, keys)
        self._client.call("renew_keys")

    def audit(self, record: AuditRecord) -> None:
        """See `BenchCar`."""
        self._client.call("audit", record=record)

    def findings(self) -> Findings:
        """See `BenchCar`."""
        return from_plain(Findings, self._client.call("findings"))

    def close(self) -> None:
        """Leave the car to whoever comes next."""
        self._client.close()
        self._release()
