"""A tester whose units and whose portal answer by script, for what honest ones never do."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fake_ecu import CAR, MS, Answer, Script, Table

from vci_driver.authenticator import Authenticator
from vci_driver.car_map import CarMap
from vci_driver.link_peer import LinkOptions
from vci_driver.portal_client import PortalClient
from vci_driver.tester import Progress, Tester
from wire.entropy import SeededEntropy
from wire.portal_api import BeginLogin, Done, FinishLogin, LoginStep, PortalError, RequestUnlock, Session, Unlock
from wire.world import World

EXTENDED = {"10 03": "50 03 00 32 01 F4"}
"""What every unit says to the session change: P2 50 ms, P2* 5000 ms."""
Said = str | Iterable[tuple[int, str]] | Callable[[bytes], bytes]


def unit(said: Mapping[str, Said]) -> Script:
    """Script of a unit: by how a request begins (hex), what is said to it (hex, several with delays, or a function).

    The longest beginning counts; `""` is silence; a service that is not listed at all is not supported.
    """
    table = {bytes.fromhex(begin): said[begin] for begin in sorted(said, key=len, reverse=True)}

    def answer(payload: bytes) -> Answer | None:
        if payload == b"\x3e\x80":
            return None
        for begin, what in table.items():
            if payload.startswith(begin):
                if callable(what):
                    return what(payload)
                if isinstance(what, str):
                    return bytes.fromhex(what) or None
                return [(delay_ms, bytes.fromhex(text)) for delay_ms, text in what]
        return bytes((0x7F, payload[0], 0x11))

    return answer


def text(did: int, words: str) -> str:
    """Hex of the positive answer that reads `words` from a data identifier."""
    return f"62 {did:04X} {words.encode().hex()}"


class ScriptedPortal:
    """Lets everybody in and issues `payload`, unless `refuses` names a request class with an error. Takes `latency_ms`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.payload = b"a token"
        self.refuses: dict[type, PortalError] = {}
        self.latency_ms = 60
        self.asked: list[Any] = []

    def call(self, request: Any) -> Any:
        self.asked.append(request)
        self.world.run_for(self.latency_ms * MS)
        if type(request) in self.refuses:
            raise self.refuses[type(request)]
        match request:
            case BeginLogin():
                return LoginStep(login_id="login", otpauth_uri=None)
            case FinishLogin():
                return Session(token="session", expires_utc_s=2**40, strong=True, person="p")
            case RequestUnlock():
                return Unlock(payload=self.payload, audit_id="audit-1", expires_utc_s=2**40)
        return Done()

    def unlocks(self) -> list[RequestUnlock]:
        """The unlocks that were asked for."""
        return [request for request in self.asked if isinstance(request, RequestUnlock)]


class Workshop:
    """A world with scripted units on one bus, a scripted portal, and a real tester between them."""

    def __init__(self, car: CarMap = CAR, options: LinkOptions | None = None, **scripts: Script) -> None:
        self.table = Table(car, options, **scripts)
        self.world = self.table.world
        self.portal = ScriptedPortal(self.world)
        self.progress: list[Progress] = []
        self.tester = Tester(
            link=self.table.link,
            portal=PortalClient(self.portal, "SERIAL-1"),
            entropy=SeededEntropy(random.Random(1)),
            today=lambda: bytes.fromhex("25 01 31"),
            on_progress=self.progress.append,
        )

    def login(self, authenticator: Authenticator | None = None) -> Workshop:
        """Log somebody in."""
        self.tester.login("t@workshop.example", "secret", lambda _: "123456", lambda: authenticator)
        return self

    def heard(self, name: str) -> list[str]:
        """What a unit was asked, in hex, without functional requests."""
        return [payload.hex(" ").upper() for _, payload in self.table.ecus[name].heard]
