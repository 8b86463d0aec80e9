"""Which addresses a mail goes to: those of RFC 5321 without what people never have, and servers disagree about.

Dot-string and domain of RFC 5321 4.1.2, with the letters of RFC 6531. No quoted local part and no address literal: where they
end is read differently by different servers, and so a second recipient gets in.
"""

from __future__ import annotations

import re

LOCAL_PART_MAX_BYTES = 64
ADDRESS_MAX_BYTES = 254
"""RFC 5321 4.5.3.1.1 and 4.5.3.1.3: a path has 256 octets with its angle brackets."""
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+"
_LABEL = r"[A-Za-z0-9\x80-\U0010ffff](?:[A-Za-z0-9\x80-\U0010ffff-]*[A-Za-z0-9\x80-\U0010ffff])?"
_ADDRESS = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")


def fault_of_address(address: str) -> str | None:
    """Return why no mail goes to an address, without the address itself; None where one does."""
    local, whole = (len(part.encode("utf-8", "replace")) for part in (address.rpartition("@")[0], address))
    if local > LOCAL_PART_MAX_BYTES or whole > ADDRESS_MAX_BYTES:
        return f"is too long: {LOCAL_PART_MAX_BYTES} bytes before the @ and {ADDRESS_MAX_BYTES} in all may be"
    if not _ADDRESS.fullmatch(address) or not address.isprintable() or "=?" in address:  # "=?" begins an encoded word
        return "must look like name@company.example, without quotes, blanks and control characters"
    return None
