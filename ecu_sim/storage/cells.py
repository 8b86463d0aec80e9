"""The bytes of one region, sparse: pages come into being when they are written, so 4 MiB of flash cost nothing before.

Flash also knows which cells are blank, that is erased and not programmed since: by book, not by their value, for FF may be data.
"""

from __future__ import annotations

from ecu_sim.storage.options import Region

PAGE = 4096
"""Big enough that a file of some KiB is a few pages, small enough that one byte costs little."""


class Cells:
    """Offsets count from the region's start; callers stay within its size."""

    __slots__ = ("_blank", "_fill", "_pages", "size")

    def __init__(self, region: Region) -> None:
        self.size = region.size
        self._fill = region.fill
        self._pages: dict[int, bytearray] = {}
        self._blank: list[tuple[int, int]] = []
        for at, data in region.contents:
            self.write(at, data)

    @property
    def pages(self) -> int:
        """How many pages exist."""
        return len(self._pages)

    def read(self, at: int, count: int) -> bytes:
        """Return `count` bytes."""
        parts, end = [], at + count
        while at < end:
            page, start = divmod(at, PAGE)
            size = min(PAGE - start, end - at)
            held = self._pages.get(page)
            parts.append(bytes((self._fill,)) * size if held is None else bytes(held[start : start + size]))
            at += size
        return b"".join(parts)

    def write(self, at: int, data: bytes) -> None:
        """Put bytes; the cells are not blank any more."""
        self.spend(at, len(data))
        done = 0
        while done < len(data):
            page, start = divmod(at + done, PAGE)
            held = self._pages.get(page)
            if held is None:
                held = self._pages[page] = bytearray((self._fill,)) * PAGE
            size = min(PAGE - start, len(data) - done)
            held[start : start + size] = data[done : done + size]
            done += size

    def erase(self, at: int, count: int) -> None:
        """Give cells the fill value and make them blank."""
        end = at + count
        for page in [page for page in self._pages if page * PAGE < end and at < (page + 1) * PAGE]:
            start, stop = max(at - page * PAGE, 0), min(end - page * PAGE, PAGE)
            if stop - start == PAGE:
                del self._pages[page]
            else:
                self._pages[page][start:stop] = bytes((self._fill,)) * (stop - start)
        self.spend(at, count)
        self._blank.append((at, end))
        self._blank.sort()

    def is_blank(self, at: int, count: int) -> bool:
        """Return whether every cell was erased and not programmed since."""
        end = at + count
        for start, stop in self._blank:
            if start <= at < stop:
                at = stop
        return at >= end

    def spend(self, at: int, count: int) -> None:
        """Let cells not be blank: programming begins, whatever will come of it."""
        end = at + count
        left = []
        for start, stop in self._blank:
            left += [(start, min(stop, at))] if start < at else []
            left += [(max(start, end), stop)] if stop > end else []
        self._blank = left
