"""A workshop: its profile and validation, its people, and what they may ask for."""

from __future__ import annotations

from dataclasses import dataclass, field

from wire.portal_api.words import CheckState, Done, Request, UnlockKind


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyProfile(Request[Done]):
    """Fill in the company profile; every field is needed."""

    session: str = field(repr=False)
    legal_name: str
    vat_number: str
    address: str
    street_number: str
    post_code: str
    town: str
    province: str
    nation: str
    phone: str
    position: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateCompany(Request[Done]):
    """Press *Validate profile*."""

    session: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyUser:
    """A person of the company, as the manager sees them."""

    email: str
    name: str
    identity: CheckState
    manager: bool
    enrolled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CompanyUsers:
    """Who belongs to the company, and who is invited: addresses whose links were not followed yet."""

    users: tuple[CompanyUser, ...]
    invited: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ListUsers(Request[CompanyUsers]):
    """The manager looks at the company's people."""

    session: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawInvitation(Request[Done]):
    """The manager takes an invitation back: its link is worth nothing any more."""

    session: str = field(repr=False)
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InviteUser(Request[Done]):
    """The workshop manager invites a person, by mail."""

    session: str = field(repr=False)
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptInvitation(Request[Done]):
    """The invited person joins the company, with an account of their own that is signed in. Nobody belongs to two."""

    session: str = field(repr=False)
    link_code: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DisassociateUser(Request[Done]):
    """The manager takes a person out of the company; their sessions end."""

    session: str = field(repr=False)
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetSecondFactor(Request[Done]):
    """The manager takes away a person's authenticator; a new one is enrolled at the next login."""

    session: str = field(repr=False)
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """What a person may ask for at one make: roles (numbers of `wire.token.Role`), kinds of unlock, and until when the company's
    licence lasts (None: the make wants none).
    """

    make: str
    roles: tuple[int, ...]
    kinds: tuple[UnlockKind, ...]
    licensed_until_utc_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetEntitlements(Request[tuple[Entitlement, ...]]):
    """Look at what one may ask for; a make that gives nothing is not listed."""

    session: str = field(repr=False)
