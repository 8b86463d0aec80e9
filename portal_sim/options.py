"""The portal's settings: every limit in one place, with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from portal_sim.records import TryRule
from portal_sim.review import ReviewRules, usual_refusals
from wire.portal_api import UnlockKind
from wire.token import Role

SecondFactor = Literal["per_login", "per_unlock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Argon2Cost:
    """Argon2id cost: passes, memory in KiB, lanes (RFC 9106)."""

    time_cost: int
    memory_kib: int
    lanes: int


OWASP_COST = Argon2Cost(time_cost=2, memory_kib=19_456, lanes=1)
"""OWASP's minimum for Argon2id (19 MiB, 2 passes, 1 lane)."""
CHEAP_COST = Argon2Cost(time_cost=1, memory_kib=8, lanes=1)
"""For the virtual bench, where passwords are not secret and thousands of people log in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MakePolicy:
    """What a make asks for: when the second factor is due, which roles a validated company gets by itself, and in which form
    it unlocks: another make's rules must not lead to this make's tokens.

    `change_second_factor`: when it is due where each change is signed for itself. One login for all changes of a session, unless
    said otherwise (our choice): a coding of three writes would wait for three codes, a minute and a half. `licensed`: whether the
    company needs a licence that has not run out.
    """

    second_factor: SecondFactor
    kinds: frozenset[UnlockKind]
    default_roles: frozenset[int] = frozenset((Role.AFTER_MARKET, Role.AFTER_SALES))
    change_second_factor: SecondFactor = "per_login"
    licensed: bool = False

    def second_factor_for(self, kind: UnlockKind) -> SecondFactor:
        """Return when the second factor is due for this kind of unlock."""
        return self.change_second_factor if kind is UnlockKind.SIGNED_CHANGE else self.second_factor


def _makes() -> dict[str, MakePolicy]:
    return {
        "vag": MakePolicy(
            second_factor="per_unlock", kinds=frozenset((UnlockKind.SFD_TOKEN, UnlockKind.SIGNED_CHANGE))
        ),
        "mercedes": MakePolicy(
            second_factor="per_login", kinds=frozenset((UnlockKind.CERTIFICATE, UnlockKind.SIGNED_SEED))
        ),
        "fca": MakePolicy(second_factor="per_login", kinds=frozenset((UnlockKind.PROOF,))),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalOptions:
    """All knobs. Durations in seconds.

    A wrong code makes the next try wait `throttle_s` times the failures in a row, at most `throttle_max_s` (RFC 4226 section
    7.3); `max_failures` in a row lock the account (NIST SP 800-63B-4: at most 100): until a reset nobody logs in, and a
    session that lives shows its pages but gets no unlock (`locked-out`), whether the make asks for a code or not.

    Failures from one network address count too, whoever they are about. A workshop behind one address mistypes now and then, so
    `address_free_failures` within an hour cost nothing.

    A session lasts `session_lifetime_s`; refreshed, it ends `refresh_lifetime_s` after the login all the same (NIST SP 800-63B-4:
    12 hours). `review`: how identity checks are decided, as read from a rules file; where there is none, the usual rules, and
    `review_by` says who decides.
    """

    cost: Argon2Cost = OWASP_COST
    min_password_len: int = 12
    link_lifetime_s: int = 3 * 24 * 3600
    login_lifetime_s: int = 300
    session_lifetime_s: int = 3600
    refresh_lifetime_s: int = 12 * 3600
    recovery_codes: int = 10
    idempotency_lifetime_s: int = 24 * 3600
    review_by: Literal["rules", "person"] = "rules"
    review_min_s: int = 600
    review_max_s: int = 1200
    identity_attempts: int = 3
    throttle_s: int = 5
    throttle_max_s: int = 600
    max_failures: int = 100
    address_free_failures: int = 20
    address_memory_s: int = 3600
    totp_steps_back: int = 1
    token_lifetime_s: int = 600
    manual_token_lifetime_s: int = 24 * 3600
    unlock_duration_min: int = 90
    certificate_lifetime_s: int = 3600
    min_sharpness: float = 0.4
    min_brightness: float = 0.2
    min_motion: float = 0.3
    review: ReviewRules | None = None
    issuer_name: str = "SGW Bench"
    makes: dict[str, MakePolicy] = field(default_factory=_makes)

    @property
    def account_rule(self) -> TryRule:
        """How failures against one person's account count."""
        return TryRule(wait_s=self.throttle_s, longest_wait_s=self.throttle_max_s, locks_at=self.max_failures)

    @property
    def address_rule(self) -> TryRule:
        """How failures from one network address count."""
        return TryRule(
            wait_s=self.throttle_s,
            longest_wait_s=self.throttle_max_s,
            free=self.address_free_failures,
            forgets_after_s=self.address_memory_s,
        )

    def review_rules(self) -> ReviewRules:
        """Return how identity checks are decided."""
        if self.review is not None:
            return self.review
        return ReviewRules(
            refuse=usual_refusals(sharpness=self.min_sharpness, brightness=self.min_brightness, motion=self.min_motion),
            wait_min_s=self.review_min_s,
            wait_max_s=self.review_max_s,
            decides=self.review_by,
            attempts=self.identity_attempts,
        )
