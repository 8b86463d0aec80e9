"""The grant that rests on certificates: until when it holds, by the calendar or by the unit's own time, and whose it is."""

from __future__ import annotations

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ec

from ecu_sim.unlock.certification_path import Presented
from ecu_sim.unlock.gate import GateEvent, Grant
from ecu_sim.unlock.trust import TrustStore
from wire.clock import NS_PER_S, WallClock


class CertificateGrant:
    """At most one grant. A certificate's end and its revocation count at once, whatever the timer does."""

    def __init__(self, trust: TrustStore, clock: WallClock) -> None:
        self._trust = trust
        self._clock = clock
        self.current: Grant | None = None
        self.owner: ec.EllipticCurvePublicKey | None = None
        self._serials: frozenset[int] = frozenset()
        self._until_utc_s = 0
        self._until_ns = 0
        self._by_own_time = False

    def begin(self, grant: Grant, presented: Presented, owner: ec.EllipticCurvePublicKey, now_ns: int) -> None:
        """Hold a new grant until its chain ends."""
        self.current, self.owner = grant, owner
        self._serials = presented.serials()
        self._until_utc_s = presented.end_utc_s()
        self._until_ns = self._end_ns(presented, now_ns)
        self._by_own_time = not self._clock.is_set

    def widen(self, scope: int, presented: Presented, now_ns: int) -> None:
        """Add rights that rest on a second chain: the grant holds until the earlier end of both."""
        assert self.current is not None
        self.current = replace(self.current, scope=self.current.scope | scope)
        self._serials |= presented.serials()
        self._until_utc_s = min(self._until_utc_s, presented.end_utc_s())
        self._until_ns = min(self._until_ns, self._end_ns(presented, now_ns))
        self._by_own_time |= not self._clock.is_set

    def over(self, now_ns: int) -> GateEvent | None:
        """Return what has ended the grant by now, None where nothing has."""
        if self.current is None:
            return None
        if self._has_ended(now_ns):
            return GateEvent.EXPIRY
        return None if self._serials.isdisjoint(self._trust.revoked_serials) else GateEvent.REVOKED

    def next_deadline(self) -> int | None:
        """Return when the grant ends, by the calendar or by one's own time."""
        if self.current is None:
            return None
        if not self._clock.is_set:
            return self._until_ns
        calendar_ns = self._clock.first_ns(self._until_utc_s + 1)
        return min(calendar_ns, self._until_ns) if self._by_own_time else calendar_ns

    def _has_ended(self, now_ns: int) -> bool:
        """Ask the calendar where it is set, and one's own time where it is not, or was not when the grant began."""
        if self._clock.is_set:
            if self._clock.utc_s(now_ns) > self._until_utc_s:
                return True
            if not self._by_own_time:
                return False
        return now_ns >= self._until_ns

    def _end_ns(self, presented: Presented, now_ns: int) -> int:
        """Return when what rests on this chain ends by one's own time: a clock that may be lost later still says when."""
        if self._clock.is_set:
            return self._clock.first_ns(presented.end_utc_s() + 1)
        return now_ns + presented.valid_s() * NS_PER_S
