"""A person: profile, identity check, and the page that says how far they are."""

from __future__ import annotations

from dataclasses import dataclass, field

from wire.portal_api.words import CheckState, CompanyState, DocumentKind, Done, FaceVideo, Picture, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalProfile(Request[Done]):
    """Fill in the personal profile. `birth_date`: ISO 8601 date."""

    session: str = field(repr=False)
    first_name: str
    last_name: str
    birth_date: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityDocuments(Request[Done]):
    """Submit an identity check: country (ISO 3166 two letters), document, both sides, the face video."""

    session: str = field(repr=False)
    country: str
    document: DocumentKind
    front: Picture
    back: Picture
    video: FaceVideo


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileStatus:
    """The page with three lines: personal profile, company profile, company profile validation."""

    email_masked: str
    personal_profile: bool
    identity: CheckState
    attempts_left: int
    company: CompanyState
    company_name: str
    manager: bool
    enrolled: bool
    messages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GetStatus(Request[ProfileStatus]):
    """Look at the page (*Update*)."""

    session: str = field(repr=False)
