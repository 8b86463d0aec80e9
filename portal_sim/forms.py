"""What people type and cameras deliver, checked where it enters the portal; each refusal says what would be right."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from portal_sim.mail.address import fault_of_address
from wire.portal_api import PortalError, PortalErrorCode

E_MAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,190}\.[^@\s\x00-\x1f]{2,63}")
CALENDAR_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
SERIAL_NUMBER = re.compile(r"[\x20-\x7e]{1,64}")
"""A tester's: it stands in the audit log."""
MAX_TEXT = 200
"""Characters in one field of a form."""


def plain_address(email: str) -> str:
    """Return an address as it is kept and compared: in small letters. Case folding would join different mailboxes."""
    return email.lower()


def require_address(email: str) -> None:
    """Refuse what is no e-mail address, or none that a mail goes to: its account could never be confirmed."""
    if not E_MAIL.fullmatch(email) or fault_of_address(email) is not None:
        raise invalid("the e-mail address", "it must look like name@company.example")


def require_texts(**fields: str) -> None:
    """Refuse fields that are empty, too long, or more than a line."""
    for name, value in fields.items():
        if not value.strip() or len(value) > MAX_TEXT or not value.isprintable():
            raise invalid(f"the field {name.replace('_', ' ')}", f"it needs 1 to {MAX_TEXT} printable characters")


def read_birth_date(text: str, now_s: int) -> date:
    """Return a calendar date (ISO 8601, extended format) that is not to come."""
    try:
        born = date.fromisoformat(text) if CALENDAR_DATE.fullmatch(text) else None
    except ValueError:
        born = None
    if born is None:
        raise invalid("the date of birth", "write it as 1990-04-01")
    if born > datetime.fromtimestamp(now_s, UTC).date():
        raise invalid("the date of birth", "it is still to come")
    return born


def require_measures(side: str, **measures: float) -> None:
    """Refuse what no camera measures, NaN too: it is neither below nor above any limit."""
    for name, value in measures.items():
        if not 0 <= value <= 1:
            raise invalid(f"the {name} of the {side}", "it is a number from 0 to 1")


def require_serial_number(serial: str) -> None:
    """Refuse what is no serial number of a tester."""
    if not SERIAL_NUMBER.fullmatch(serial):
        raise invalid("the tester's serial number", "it needs 1 to 64 printable ASCII characters")


def invalid(what: str, how: str) -> PortalError:
    """Return the refusal of something that was typed."""
    return PortalError(PortalErrorCode.INVALID_INPUT, f"Please check {what}: {how}.")
