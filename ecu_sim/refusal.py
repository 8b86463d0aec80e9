"""A refusal on its way out of a service: the NRC for the tester, the reason for the ECU's own log."""

from __future__ import annotations


class Refusal(Exception):
    """A request that is refused with `nrc`; `reason` is one short phrase for the log, never for the wire."""

    def __init__(self, nrc: int, reason: str) -> None:
        super().__init__(reason)
        self.nrc = nrc
        self.reason = reason
