"""dataFormatIdentifier: the compression of what is transferred. 0 is none; which number means zlib is the
profile's (our own choice).

No encryption method is known: any but 0 in the low half is refused.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Protocol


class Decoder(Protocol):
    """Turns what arrives into plain data. A copy tries; the original takes over when that is accepted."""

    def copy(self) -> Decoder:
        """Return a decoder in the same state."""

    def decode(self, data: bytes, at_most: int) -> bytes:
        """Return plain bytes, up to `at_most`. Raises `ValueError` where the data is none of this format."""

    @property
    def whole(self) -> bool:
        """Whether the data may end here."""


class Plain:
    """No compression."""

    whole = True

    def copy(self) -> Plain:
        """Return itself: it has no state."""
        return self

    def decode(self, data: bytes, at_most: int) -> bytes:
        """Return what came."""
        return data[:at_most]


class Zlib:
    """RFC 1950. What would not fit is not even unpacked."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj()

    @property
    def whole(self) -> bool:
        """Whether the stream's end was seen."""
        return self._stream.eof

    def copy(self) -> Zlib:
        """Return a decoder in the same state."""
        other = Zlib()
        other._stream = self._stream.copy()
        return other

    def decode(self, data: bytes, at_most: int) -> bytes:
        """Unpack."""
        if self._stream.eof:
            raise ValueError("data behind the end of the stream")
        try:
            plain = self._stream.decompress(data, at_most)
        except zlib.error as error:
            raise ValueError(str(error)) from None
        if self._stream.unused_data:
            raise ValueError("data behind the end of the stream")
        return plain


COMPRESSIONS: Mapping[str, tuple[Callable[[], Decoder], Callable[[bytes], bytes]]] = {
    "none": (Plain, bytes),
    "zlib": (Zlib, zlib.compress),
}
"""How a method unpacks, and how it packs."""


def method_of(data_format: int, compressions: Mapping[int, str]) -> str | None:
    """Return the compression that a dataFormatIdentifier means; None where the unit does not know it."""
    compression, encryption = data_format >> 4, data_format & 0x0F
    if encryption:
        return None
    return "none" if compression == 0 else compressions.get(compression)
