"""Takes apart the answer to a ReadDataByIdentifier of several identifiers: the message itself does not say where one ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

MAX_STEPS = 20_000
"""Ways that are tried: some dozen identifiers of known length need some dozen."""
Parts = list[tuple[int, bytes]]


def split_answer(request: bytes, answer: bytes, lengths: Mapping[int, int]) -> Parts | None:
    """Return (identifier, value) in the answer's order if there is exactly one way to read it, else None.

    An ECU leaves out what it does not have; so a reading in which some are missing counts if there is none with all of them.
    `lengths` are known ones. A value has at least one byte.
    """
    wanted = [int.from_bytes(request[at : at + 2], "big") for at in range(1, len(request), 2)]
    for missing in (False, True):
        reading = _Reading(answer, lengths, missing=missing)
        ways = []
        for way in reading.ways(1, wanted):
            ways.append(way)
            if len(ways) > 1:
                return None
        if reading.steps > MAX_STEPS:
            return None
        if ways:
            return ways[0]
    return None


class _Reading:
    """Goes through the ways to read an answer. `missing`: identifiers may be left out."""

    def __init__(self, answer: bytes, lengths: Mapping[int, int], *, missing: bool) -> None:
        self._answer = answer
        self._lengths = lengths
        self._missing = missing
        self.steps = 0

    def ways(self, at: int, rest: list[int]) -> Iterator[Parts]:
        self.steps += 1
        if self.steps > MAX_STEPS:
            return
        answer = self._answer
        if at == len(answer):
            if self._missing or not rest:
                yield []
            return
        for place, number in enumerate(rest if self._missing else rest[:1]):
            if answer[at : at + 2] != number.to_bytes(2, "big"):
                continue
            begin = at + 2
            known = self._lengths.get(number)
            for end in range(begin + 1, len(answer) + 1) if known is None else (begin + known,):
                if end <= len(answer):
                    for way in self.ways(end, rest[place + 1 :]):
                        yield [(number, answer[begin:end]), *way]
