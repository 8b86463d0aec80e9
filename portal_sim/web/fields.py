"""What the OpenAPI document says of fields by name: limits as the portal checks them (`portal_sim.forms`), and examples."""

from __future__ import annotations

from typing import Any

from portal_sim.forms import MAX_TEXT
from portal_sim.idempotency import MAX_KEY_CHARS
from portal_sim.log_reading import AUDIT_PAGE_MAX
from portal_sim.options import PortalOptions
from portal_sim.passwords import MAX_PASSWORD_CHARS
from wire.token import Role, Scope

_LINE = {"minLength": 1, "maxLength": MAX_TEXT}
_OPTIONS = PortalOptions()


FIELDS: dict[str, dict[str, Any]] = {
    "email": {"examples": ["tessa@workshop.example"]},
    "password": {"format": "password", "examples": ["correct horse battery staple"]},
    "old_password": {"format": "password"},
    "new_password": {"format": "password", "minLength": _OPTIONS.min_password_len, "maxLength": MAX_PASSWORD_CHARS},
    "link_code": {"description": "The code in the link of a mail."},
    "code": {"description": "Six digits of the authenticator, or a recovery code.", "examples": ["492039"]},
    "tester_serial": {"pattern": r"^[\x20-\x7e]{1,64}$", "examples": ["T-1"]},
    "first_name": {**_LINE, "examples": ["Tessa"]},
    "last_name": {**_LINE, "examples": ["Example"]},
    "birth_date": {"format": "date", "examples": ["1990-04-01"]},
    "country": {"pattern": "^[A-Z]{2}$", "examples": ["DE"], "description": "ISO 3166-1, two letters."},
    "legal_name": {**_LINE, "examples": ["Example Workshop Ltd"]},
    "vat_number": {**_LINE, "examples": ["DE123456789"]},
    "address": {**_LINE, "examples": ["Werkstrasse"]},
    "street_number": {**_LINE, "examples": ["7"]},
    "post_code": {**_LINE, "examples": ["38440"]},
    "town": {**_LINE, "examples": ["Wolfsburg"]},
    "province": {**_LINE, "examples": ["NI"]},
    "nation": {**_LINE, "examples": ["DE"]},
    "phone": {**_LINE, "examples": ["+49 5361 0000"]},
    "position": {**_LINE, "examples": ["Workshop Manager"]},
    "make": {"examples": ["vag"]},
    "vin": {"examples": ["WVWZZZCD4MW000001"]},
    "ecu_address": {"minimum": 0, "maximum": 0xFFFF, "examples": [0x714]},
    "role": {"enum": sorted(Role), "description": "; ".join(f"{each.value} {each.name.lower()}" for each in Role)},
    "scope": {
        "minimum": 0,
        "description": "; ".join(f"{member.value} {name.lower()}" for name, member in Scope.__members__.items()),
    },
    "after": {"minimum": 0},
    "limit": {"minimum": 1, "maximum": AUDIT_PAGE_MAX},
    "idempotency_key": {"maxLength": MAX_KEY_CHARS, "examples": ["8e03978e-40d5-43dd-bc93-6894a57f9324"]},
    "sharpness": {"minimum": 0, "maximum": 1},
    "brightness": {"minimum": 0, "maximum": 1},
    "motion": {"minimum": 0, "maximum": 1},
}
"""Of requests, by the name of the field: a name means the same everywhere. A reply's fields have no limits."""
