"""All that one unit stores, kept without supply (`Storage`) or forgotten with a reset (`WorkingMemory`).

Nothing is built before it is asked for: a unit without memory pays nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ecu_sim.storage.cells import Cells
from ecu_sim.storage.file_store import FileStore
from ecu_sim.storage.options import FilesOptions, FlashOptions, Kind, Region
from ecu_sim.storage.software import Software
from ecu_sim.storage.transfer import Transfer


@dataclass(slots=True)
class Storage:
    """EEPROM and flash, files, the software's states. `worn_out`: cells that a fault keeps from being programmed."""

    regions: dict[str, Cells] = field(default_factory=dict)
    worn_out: list[tuple[str, int, int]] = field(default_factory=list)
    _files: FileStore | None = None
    _software: Software | None = None

    def files(self, options: FilesOptions) -> FileStore:
        """Return the file system."""
        if self._files is None:
            self._files = FileStore(options)
        return self._files

    def software(self, options: FlashOptions) -> Software:
        """Return the states of the software."""
        if self._software is None:
            self._software = Software(options)
        return self._software

    def wear_out(self, region: str, at: int, count: int) -> None:
        """Let cells fail from now on: programming or erasing them ends with 0x72."""
        self.worn_out.append((region, at, at + count))

    def takes(self, region: str, at: int, count: int) -> bool:
        """Return whether cells can be programmed."""
        return not any(name == region and start < at + count and at < stop for name, start, stop in self.worn_out)


@dataclass(slots=True)
class WorkingMemory:
    """RAM, the transfer in progress, and whether software was touched since the last start."""

    regions: dict[str, Cells] = field(default_factory=dict)
    transfer: Transfer | None = None
    software_touched: bool = False


def cells_of(storage: Storage, working: WorkingMemory, region: Region) -> Cells:
    """Return a region's bytes."""
    home = working.regions if region.kind is Kind.RAM else storage.regions
    cells = home.get(region.name)
    if cells is None:
        cells = home[region.name] = Cells(region)
    return cells
