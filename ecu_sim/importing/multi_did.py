"""Takes apart the answer to a ReadDataByIdentifier of several identifiers: the message itself does not say where one ends."""

from __future__ import annotations

from collections.abc import Mapping

MAX_STEPS = 20_000
"""Ways that are tried: some dozen identifiers of known length need some dozen."""


def split_answer(request: bytes, answer: bytes, lengths: Mapping[int, int]) -> list[tuple[int, bytes]] | None:
    """Return (identifier, value) in the answer's order if there is exactly one way to read it, else None.

    Identifiers that the ECU does not have are left out of its answer; so each may be missing. `lengths` are known ones.
    """
    wanted = [int.from_bytes(request[at : at + 2], "big") for at in range(1, len(request), 2)]
    ways: list[list[tuple[int, bytes]]] = []
    steps = 0

    def go(at: int, rest: list[int], found: list[tuple[int, bytes]]) -> None:
        nonlocal steps
        steps += 1
        if len(ways) > 1 or steps > MAX_STEPS:
            return
        if at == len(answer):
            ways.append(found)
            return
        for place, number in enumerate(rest):
            if answer[at : at + 2] != number.to_bytes(2, "big"):
                continue
            begin = at + 2
            known = lengths.get(number)
            ends = range(begin, len(answer) + 1) if known is None else [begin + known]
            for end in ends:
                if end <= len(answer):
                    go(end, rest[place + 1 :], [*found, (number, answer[begin:end])])

    go(1, wanted, [])
    return ways[0] if len(ways) == 1 and steps <= MAX_STEPS else None
