"""Where each message of the portal travels over HTTP: one table, which the service and the tester's client are made from.

A session goes as a bearer token (RFC 6750), an idempotency key in the header of its name
(draft-ietf-httpapi-idempotency-key-header), what stands in the path or is asked for by GET and DELETE in the URL, the rest as
one JSON object. No secret stands in a URL: URLs are logged.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from enum import Enum, StrEnum
from functools import cached_property
from typing import Any, cast, get_args, get_type_hints
from urllib.parse import quote

from wire import portal_api as api
from wire.errors import ConfigError
from wire.plain import to_plain
from wire.portal_api import PortalErrorCode as Code

JSON = "application/json"
LARGEST_INT = 2**53 - 1
"""RFC 7493 section 2.2: what every JSON reader keeps exactly. It also fits every database."""
_PARAMETER = re.compile(r"\{(\w+)\}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


class Place(StrEnum):
    """Where a field of a message travels."""

    BEARER = "bearer"
    IDEMPOTENCY_KEY = "idempotency-key"
    PATH = "path"
    QUERY = "query"
    BODY = "body"


class Effort(StrEnum):
    """What carrying out a message costs the service: a short look, a durable commit, or the hash of a password."""

    LOOK = "look"
    COMMIT = "commit"
    HASH = "hash"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Route:
    """How one kind of message travels. `refusals`: the codes that it may be refused with, besides `ALWAYS`; `raw`: the field of
    the reply that is the answer's whole body, of the type `media_type`; `media`: fields that are uploaded as files.
    """

    message: type[api.Request[Any]]
    method: str
    path: str
    tag: str
    status: int = 200
    effort: Effort = Effort.COMMIT
    refusals: frozenset[Code] = frozenset()
    media_type: str = JSON
    raw: str | None = None
    media: tuple[str, ...] = ()

    @cached_property
    def hints(self) -> Mapping[str, Any]:
        """Return the types of the message's fields."""
        return get_type_hints(self.message)

    @cached_property
    def places(self) -> Mapping[str, Place]:
        """Return where each field travels."""
        in_path = set(_PARAMETER.findall(self.path))
        rest = Place.QUERY if self.method in ("GET", "DELETE") else Place.BODY
        own = {"session": Place.BEARER, "idempotency_key": Place.IDEMPOTENCY_KEY}
        return {
            field.name: Place.PATH if field.name in in_path else own.get(field.name, rest)
            for field in dataclasses.fields(cast("Any", self.message))
        }

    def at(self, place: Place) -> tuple[str, ...]:
        """Return the fields that travel there."""
        return tuple(name for name, where in self.places.items() if where is place)

    @cached_property
    def reply(self) -> Any:
        """Return what the message is answered with."""
        return get_args(self.message.__orig_bases__[0])[0]  # type: ignore[attr-defined]


ALWAYS = frozenset({Code.INVALID_INPUT, Code.UNAVAILABLE})
_CALM = frozenset({Code.THROTTLED})
_CODE = frozenset({Code.CODE_REJECTED, Code.THROTTLED, Code.LOCKED_OUT, Code.NOT_ENROLLED})
_SESSION = frozenset({Code.SESSION_INVALID})
_MANAGER = _SESSION | {Code.COMPANY_INCOMPLETE, Code.NOT_THE_MANAGER, Code.COMPANY_REVOKED, Code.COMPANY_NOT_VALIDATED}
_PASSWORD = frozenset({Code.LOGIN_FAILED, Code.EMAIL_NOT_CONFIRMED, Code.THROTTLED, Code.LOCKED_OUT})
_COMPANY = _SESSION | {
    Code.IDENTITY_NOT_VERIFIED,
    Code.COMPANY_INCOMPLETE,
    Code.COMPANY_REVOKED,
    Code.COMPANY_NOT_VALIDATED,
    Code.NOT_THE_MANAGER,
    Code.ALREADY_IN_COMPANY,
}
_UNLOCK = (
    _SESSION
    | _CODE
    | {
        Code.SECOND_FACTOR_REQUIRED,
        Code.IDENTITY_NOT_VERIFIED,
        Code.DISASSOCIATED,
        Code.COMPANY_REVOKED,
        Code.COMPANY_NOT_VALIDATED,
        Code.NOT_ENTITLED,
        Code.NOT_LICENSED,
        Code.KEY_REUSED,
        Code.REQUEST_STRUCTURE_INVALID,
    }
)


def _route(message: type[api.Request[Any]], line: str, tag: str, refusals: frozenset[Code], **more: Any) -> Route:
    method, path = line.split()
    return Route(message=message, method=method, path=path, tag=tag, refusals=refusals | ALWAYS, **more)


ROUTES: tuple[Route, ...] = (
    _route(api.GetStatus, "GET /v1/profile", "person", _SESSION, effort=Effort.LOOK),
    _route(api.PersonalProfile, "PUT /v1/profile", "person", _SESSION | {Code.IDENTITY_CHECK_IN_PROGRESS}),
    _route(
        api.IdentityDocuments,
        "POST /v1/identity-checks",
        "person",
        _SESSION | {Code.PROFILE_INCOMPLETE, Code.IDENTITY_CHECK_IN_PROGRESS, Code.NO_ATTEMPTS_LEFT},
        status=202,
        media=("front", "back", "video"),
    ),
    _route(api.SignUp, "POST /v1/accounts", "account", _CALM | {Code.EMAIL_TAKEN}, status=201, effort=Effort.HASH),
    _route(api.ConfirmEmail, "POST /v1/accounts/confirmations", "account", _CALM | {Code.LINK_INVALID}),
    _route(
        api.ChangePassword,
        "PUT /v1/password",
        "account",
        _SESSION | {Code.LOGIN_FAILED, Code.THROTTLED, Code.LOCKED_OUT},
        effort=Effort.HASH,
    ),
    _route(api.RequestReset, "POST /v1/password-resets", "account", _CALM, status=202),
    _route(
        api.ConfirmReset,
        "POST /v1/password-resets/confirmations",
        "account",
        _CALM | {Code.LINK_INVALID},
        effort=Effort.HASH,
    ),
    _route(
        api.PortalLogin,
        "POST /v1/sessions",
        "login",
        _PASSWORD | _CODE | {Code.SECOND_FACTOR_REQUIRED},
        status=201,
        effort=Effort.HASH,
    ),
    _route(api.BeginLogin, "POST /v1/logins", "login", _PASSWORD, status=201, effort=Effort.HASH),
    _route(api.FinishLogin, "POST /v1/logins/codes", "login", _CODE | _SESSION, status=201),
    _route(
        api.Refresh, "POST /v1/sessions/refreshes", "login", _SESSION | {Code.THROTTLED, Code.LOCKED_OUT}, status=201
    ),
    _route(api.Logout, "DELETE /v1/sessions/current", "login", _SESSION),
    _route(api.NewRecoveryCodes, "POST /v1/recovery-codes", "login", _CODE | _SESSION, status=201),
    _route(api.CompanyProfile, "PUT /v1/company", "company", _COMPANY),
    _route(api.ValidateCompany, "POST /v1/company/validation", "company", _COMPANY),
    _route(api.ListUsers, "GET /v1/company/users", "company", _MANAGER),
    _route(api.DisassociateUser, "DELETE /v1/company/users/{email}", "company", _MANAGER),
    _route(api.ResetSecondFactor, "POST /v1/company/users/{email}/second-factor-reset", "company", _MANAGER),
    _route(api.InviteUser, "POST /v1/company/invitations", "company", _MANAGER, status=201),
    _route(
        api.AcceptInvitation,
        "POST /v1/company/invitations/acceptances",
        "company",
        _SESSION | _CALM | {Code.LINK_INVALID, Code.ALREADY_IN_COMPANY},
    ),
    _route(api.WithdrawInvitation, "DELETE /v1/company/invitations/{email}", "company", _MANAGER),
    _route(api.GetEntitlements, "GET /v1/entitlements", "unlock", _SESSION, effort=Effort.LOOK),
    _route(api.RequestUnlock, "POST /v1/unlocks", "unlock", _UNLOCK, status=201),
    _route(api.RequestUnlockByFile, "POST /v1/unlocks/by-file", "unlock", _UNLOCK, status=201),
    _route(
        api.RevokeUnlock,
        "POST /v1/unlocks/{audit_id}/revocation",
        "unlock",
        _MANAGER | {Code.SECOND_FACTOR_REQUIRED},
    ),
    _route(api.GetKeySet, "GET /v1/keys", "vehicle", frozenset(), effort=Effort.LOOK),
    _route(
        api.GetRevocationList,
        "GET /v1/crl",
        "vehicle",
        frozenset(),
        media_type="application/pkix-crl",
        raw="der",
    ),
    _route(api.ReadAudit, "GET /v1/audit", "audit", _MANAGER | {Code.SECOND_FACTOR_REQUIRED}),
    _route(api.ExportAuditAsCsv, "GET /v1/audit.csv", "audit", _MANAGER, media_type="text/csv", raw="data"),
    _route(
        api.ExportAuditAsLines,
        "GET /v1/audit.jsonl",
        "audit",
        _MANAGER,
        media_type="application/jsonl",
        raw="data",
    ),
)
"""The API, version 1."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A message as it travels. `body` None: there is none."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, bytes] = dataclasses.field(repr=False)
    body: Mapping[str, Any] | None = dataclasses.field(repr=False)


def send(route: Route, message: api.Request[Any]) -> Sent:
    """Return how a message travels. The inverse is `receive`."""
    plain: dict[str, Any] = to_plain(message)
    path = _PARAMETER.sub(lambda found: quote(str(plain[found[1]]), safe=""), route.path)
    headers = {}
    for name in route.at(Place.BEARER):
        if _HEADER_VALUE.fullmatch(plain[name]):  # anything else is nobody's session: who shows none hears the same
            headers["Authorization"] = b"Bearer " + plain[name].encode()
    for name in route.at(Place.IDEMPOTENCY_KEY):
        if plain[name]:
            headers["Idempotency-Key"] = _quoted(plain[name])
    body = {name: plain[name] for name in route.at(Place.BODY)} or None
    query = {name: _as_text(plain[name]) for name in route.at(Place.QUERY) if plain[name] is not None}
    return Sent(path=path, query=query, headers=headers, body=body)


def receive(
    route: Route,
    *,
    path: Mapping[str, str],
    query: Mapping[str, str],
    session: str,
    idempotency_key: str,
    body: Mapping[str, Any],
) -> dict[str, Any]:
    """Return a message's plain fields (see `wire.plain.from_plain`), gathered from where they travel.

    Raises `ConfigError` where something stands in a place that is not its own, or is no number where one belongs.
    """
    places = route.places
    plain = dict(body)
    for name in body:
        if places.get(name) not in (Place.BODY, None):
            raise ConfigError("this field does not stand in the body", key=name)
    for name, text in query.items():
        if places.get(name) is not Place.QUERY:
            raise ConfigError("there is no such parameter", key=name)
        plain[name] = _from_text(route.hints[name], text, name)
    plain.update(path)
    for name in route.at(Place.BEARER):
        plain[name] = session
    for name in route.at(Place.IDEMPOTENCY_KEY):
        plain[name] = idempotency_key
    return plain


def idempotency_key_of(value: str) -> str:
    """Return the key in a header: an RFC 8941 string (section 3.3.3), or, as many clients send it, bare text."""
    if len(value) < 2 or not (value[0] == value[-1] == '"'):
        return value
    return re.sub(r"\\([\"\\])", r"\1", value[1:-1])


def _quoted(key: str) -> bytes:
    escaped = key.replace("\\", "\\\\").replace('"', '\\"')
    shown = "".join(each if each.isprintable() else "\x80" for each in escaped)  # what no header holds stays wrong
    return f'"{shown}"'.encode(errors="replace")


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _from_text(kind: Any, text: str, name: str) -> Any:
    kinds = get_args(kind) or (kind,)
    if str in kinds or any(isinstance(each, type) and issubclass(each, Enum) for each in kinds):
        return text
    if not re.fullmatch(r"-?[0-9]{1,16}", text) or abs(int(text)) > LARGEST_INT:
        raise ConfigError("expected a whole number, of 53 bits at most", key=name)
    return int(text)
