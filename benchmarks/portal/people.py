"""People for the load: written into the store before the service starts, so that a thousand take seconds, not minutes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from time import time

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from portal_sim.desk import hashed
from portal_sim.options import OWASP_COST
from portal_sim.passwords import hash_password
from portal_sim.records import Account, LiveSession
from portal_sim.sealing import Sealing, portal_key
from portal_sim.service import open_store
from portal_sim.totp import hotp, step_of
from wire.entropy import LiveEntropy
from wire.portal_api import CheckState, CompanyState
from wire.token import Role, Scope

PASSWORD = "correct horse battery staple"  # noqa: S105 - of nobody
DAY_S = 24 * 3600
SECRET_LEN = 20


@dataclass(frozen=True)
class Person:
    """One of them: address, the authenticator's secret, and a session that is open all day."""

    email: str
    secret: bytes
    session: str


def write_people(data: Path, database: str, count: int) -> list[Person]:
    """Write managers of validated companies, each with an authenticator and a session."""
    entropy = LiveEntropy()
    data.mkdir(parents=True, exist_ok=True)
    store, _, give_back = open_store(database, Sealing(portal_key(data, {}, entropy), entropy))
    encoded = hash_password(PASSWORD, entropy.token_bytes(16), OWASP_COST)
    now_s = int(time())
    people = []
    for number in range(count):
        person = Person(
            f"person{number}@workshop.example", entropy.token_bytes(SECRET_LEN), entropy.token_bytes(24).hex()
        )
        people.append(person)
        email = person.email
        with store.unit() as unit:
            unit.add_account(Account(email=email, password_hash=encoded, attempts_left=3), now_s)
            unit.confirm_account(email)
            unit.set_profile(email, "Tessa", f"Example {number}", "1990-04-01")
            unit.start_review(email, None, None, ())
            unit.end_review(email, CheckState.APPROVED)
            unit.offer_secret(email, person.secret)
            unit.enrol(email, person.secret)
            company = unit.found_company(email, f"Workshop {number}", {"town": "Wolfsburg"})
            assert company is not None
            unit.set_company_state(company.company_id, CompanyState.VALIDATED)
            session = LiveSession(email=email, family=hashed(email), strong=True, expires_s=now_s + DAY_S)
            unit.add_session(hashed(person.session), session)
    give_back()
    return people


# ---- what goes over the wire


def look(person: Person) -> str:
    """Read the profile."""
    return _request("GET", "/v1/profile", session=person.session)


def login(person: Person) -> str:
    """Sign in with password and the code of now: good once, and for half a minute at least."""
    code = hotp(person.secret, step_of(int(time())))
    return _request("POST", "/v1/sessions", {"email": person.email, "password": PASSWORD, "code": code})


def unlock(person: Person) -> str:
    """Ask for a certificate, whose make wants no code for each."""
    key = ec.derive_private_key(7, ec.SECP256R1()).public_key()
    wish = {
        "kind": "certificate",
        "make": "mercedes",
        "vin": "W1KZF8DB1NA000001",
        "ecu_address": 0x7A0,
        "role": int(Role.AFTER_SALES),
        "scope": int(Scope.CODING),
        "challenge": key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo).hex(),
    }
    return _request("POST", "/v1/unlocks", wish, session=person.session)


def _request(method: str, path: str, body: dict[str, object] | None = None, *, session: str = "") -> str:
    head = [f"{method} {path} HTTP/1.1", "Host: portal.example"]
    if session:
        head.append(f"Authorization: Bearer {session}")
    text = "" if body is None else json.dumps(body)
    if body is not None:
        head += ["Content-Type: application/json", f"Content-Length: {len(text)}"]
    return "\r\n".join([*head, "", text])
