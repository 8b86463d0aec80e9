"""Plays a recorded talk against the profile that was made from it, in virtual time: what is answered otherwise is said.

Seeds differ because they are random; a key that was right is replaced by the one that is right for the clone's seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from ecu_sim.importing.document import Finding
from ecu_sim.importing.talks import Exchange, Talk
from ecu_sim.profile import EcuProfile
from ecu_sim.server import UdsServer
from ecu_sim.vehicle_state import VehicleState
from wire.entropy import SeededEntropy
from wire.seed_key import compute_key
from wire.uds import NEGATIVE_RESPONSE, Nrc, Service

PATIENCE_NS = 60_000_000_000
"""World time in which a request is answered for good; a longer service is not waited for."""
MAX_TIMERS = 10_000
SHOWN_BYTES = 12


@dataclass(slots=True)
class Played:
    """How many requests there were, how many answers were equal byte for byte, and the others with their reasons."""

    requests: int = 0
    equal: int = 0
    unlike: list[Finding] = field(default_factory=list)
    different: list[Finding] = field(default_factory=list)

    def summary(self) -> str:
        """Return one sentence."""
        said = f"{self.equal} of {self.requests} requests are answered byte for byte as in the trace"
        if self.unlike:
            said += f", {len(self.unlike)} as they can be (seeds, values that moved)"
        return said + (f", {len(self.different)} otherwise" if self.different else "")


def replay(profile: EcuProfile, talk: Talk, moved: set[int]) -> Played:
    """Play every request of `talk`. `moved`: identifiers whose value is known to have changed by itself."""
    server = UdsServer(profile, entropy=SeededEntropy(random.Random(0)), vehicle=VehicleState())  # noqa: S311 - a bench's seed
    played = Played()
    start_ns = talk.exchanges[0].at_ns if talk.exchanges else 0
    now_ns, seeds = 0, dict[int, bytes]()
    for exchange in talk.exchanges:
        due_ns = max(exchange.at_ns - start_ns, now_ns)
        _run(server, due_ns)
        server.outputs.clear()
        server.receive(_request(profile, exchange, seeds), exchange.functional, due_ns)
        now_ns = _wait(server, due_ns)
        answers = [answer for answer in server.outputs if not _pending(answer)]
        server.outputs.clear()
        answer = answers[-1] if answers else None
        if answer is not None and answer[0] == 0x67 and answer[1] % 2:
            seeds[answer[1]] = answer[2:]
        _judge(played, exchange, answer, moved)
    return played


def _judge(played: Played, exchange: Exchange, answer: bytes | None, moved: set[int]) -> None:
    if exchange.sid == Service.TesterPresent and exchange.suppressed and answer is None and exchange.answer is None:
        return  # thousands of them keep a session, and prove nothing
    played.requests += 1
    if answer == exchange.answer:
        played.equal += 1
        return
    finding = Finding(
        "request", _hex(exchange.request), f"{_hex(exchange.answer)} in the trace, {_hex(answer)} from the clone"
    )
    (played.unlike if _cannot_be_equal(exchange, answer, moved) else played.different).append(finding)


def _cannot_be_equal(exchange: Exchange, answer: bytes | None, moved: set[int]) -> bool:
    wanted = exchange.answer
    if wanted is None or answer is None or answer[0] == NEGATIVE_RESPONSE or wanted[:1] != answer[:1]:
        return False
    if exchange.sid == Service.SecurityAccess:
        return len(wanted) == len(answer) and any(wanted[2:])
    request = exchange.request
    return exchange.sid == Service.ReadDataByIdentifier and any(
        int.from_bytes(request[at : at + 2], "big") in moved for at in range(1, len(request), 2)
    )


def _request(profile: EcuProfile, exchange: Exchange, seeds: dict[int, bytes]) -> bytes:
    sub = exchange.sub_function
    if exchange.sid != Service.SecurityAccess or not sub or sub % 2 or exchange.positive is None:
        return exchange.request
    level, seed = profile.security.get(sub - 1), seeds.get(sub - 1)
    if level is None or seed is None:
        return exchange.request
    return exchange.request[:2] + compute_key(level.algorithm, seed, level.secret, level.level)


def _run(server: UdsServer, until_ns: int) -> None:
    for _ in range(MAX_TIMERS):
        due_ns = server.next_deadline()
        if due_ns is None or due_ns > until_ns:
            return
        server.handle_timer(due_ns)


def _wait(server: UdsServer, now_ns: int) -> int:
    """Let the server finish what it works on; return when it has."""
    end_ns = now_ns + PATIENCE_NS
    for _ in range(MAX_TIMERS):
        due_ns = server.next_deadline()
        if not server.busy or due_ns is None or due_ns > end_ns:
            break
        now_ns = max(now_ns, due_ns)
        server.handle_timer(now_ns)
    return now_ns


def _pending(answer: bytes) -> bool:
    return answer[0] == NEGATIVE_RESPONSE and answer[2] == Nrc.requestCorrectlyReceivedResponsePending


def _hex(data: bytes | None) -> str:
    if not data:
        return "no answer"
    return data[:SHOWN_BYTES].hex(" ").upper() + (f" ... ({len(data)} bytes)" if len(data) > SHOWN_BYTES else "")
