"""The tester's end of the portal: logs a person in, keeps the session, asks for unlocks. Over any `PortalPort`.

It knows only `wire.portal_api`; whether the portal stands in this process or behind HTTP is the port's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wire.errors import LocalMisuse
from wire.portal_api import (
    BeginLogin,
    FinishLogin,
    LoginStep,
    Logout,
    PortalError,
    PortalErrorCode,
    PortalPort,
    RequestUnlock,
    Session,
    Unlock,
    UnlockKind,
)


class NotLoggedIn(LocalMisuse):
    """Something needs a portal session and there is none: log in first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlockWish:
    """What is asked for. `role`, `scope`: numbers of `wire.token`; `challenge`, `manual`: see `RequestUnlock`."""

    kind: UnlockKind
    make: str
    vin: str
    ecu_address: int
    role: int
    scope: int
    challenge: bytes
    manual: bool = False


class PortalClient:
    """One tester at the portal, known there by its serial number."""

    def __init__(self, port: PortalPort, tester_serial: str) -> None:
        self.port = port
        self.tester_serial = tester_serial
        self.session: Session | None = None

    @property
    def logged_in(self) -> bool:
        """Whether a session is kept (the portal may have ended it: it will say so)."""
        return self.session is not None

    def login(self, email: str, password: str, second_factor: Callable[[LoginStep], str]) -> Session:
        """Log in; `second_factor` gets the step (with the URI to enrol, at the first login) and returns the code.

        Raises `PortalError`; an earlier session is forgotten whatever comes of it.
        """
        step = self.begin_login(email, password)
        return self.finish_login(step, second_factor(step))

    def begin_login(self, email: str, password: str) -> LoginStep:
        """Send e-mail and password."""
        self.session = None
        return self.port.call(BeginLogin(email=email, password=password, tester_serial=self.tester_serial))

    def finish_login(self, step: LoginStep, code: str) -> Session:
        """Send the authenticator's code and keep the session."""
        self.session = self.port.call(FinishLogin(login_id=step.login_id, code=code))
        return self.session

    def logout(self) -> None:
        """End the session, here at once and at the portal too."""
        session, self.session = self.session, None
        if session is not None:
            self.port.call(Logout(session=session.token))

    def request_unlock(self, wish: UnlockWish, code: str | None = None) -> Unlock:
        """Ask for an unlock; `code` where a second factor per unlock is asked for. Raises `PortalError`, `NotLoggedIn`.

        A session that the portal no longer knows is forgotten, so that the next step is a login and not a retry.
        """
        if self.session is None:
            raise NotLoggedIn("no session at the portal: log in on the tester first")
        request = RequestUnlock(
            session=self.session.token,
            kind=wish.kind,
            make=wish.make,
            vin=wish.vin,
            ecu_address=wish.ecu_address,
            role=wish.role,
            scope=wish.scope,
            challenge=wish.challenge,
            code=code,
            manual=wish.manual,
        )
        try:
            return self.port.call(request)
        except PortalError as error:
            if error.code is PortalErrorCode.SESSION_INVALID:
                self.session = None
            raise
