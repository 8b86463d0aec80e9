"""SecurityAccess 0x27: seed and key, attempts, delay.

One level is open at a time. A seed is random, single-use, and zero only when its level is open. A wrong key voids the seed and
counts; the attempt that reaches the limit gets 0x36, and no seed is given (0x37) until the delay is over. The count and the
delay are kept without supply, so pulling the plug gains nothing.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from ecu_sim.profile import SecurityLevel
from ecu_sim.services.request import NOT_DEFAULT, Request, ServiceSpec
from wire.seed_key import compute_key, key_len
from wire.token import Scope
from wire.uds import Nrc

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer


def _sub_functions(server: UdsServer) -> frozenset[int]:
    return frozenset(number for level in server.profile.security for number in (level, level + 1))


def _level(server: UdsServer, sub_function: int) -> SecurityLevel:
    return server.profile.security[(sub_function - 1) | 1]


def _sessions(server: UdsServer, sub_function: int) -> frozenset[int]:
    return _level(server, sub_function).sessions


def _asks_for_seed(request: Request) -> bool:
    return request.sub_function % 2 == 1


def _exact_len(server: UdsServer, request: Request) -> int:
    return 2 if _asks_for_seed(request) else 2 + key_len(_level(server, request.sub_function).algorithm)


def _not_released(server: UdsServer, request: Request) -> int:
    gate = server.gate
    if server.profile.security_access != "after_grant" or gate is None:
        return 0
    return 0 if gate.allows(Scope.SECURITY_ACCESS, request.now_ns) else gate.refusal_nrc


def _delay_runs(server: UdsServer, request: Request) -> int:
    level = _level(server, request.sub_function).level
    if not _asks_for_seed(request) or server.state.open_level == level:
        return False
    return request.now_ns < server.memory.attempts[level].delay_until_ns


def _no_seed_outstanding(server: UdsServer, request: Request) -> int:
    """One try for each seed: whatever comes of this key, its seed is void."""
    if _asks_for_seed(request):
        return False
    state = server.state
    seed, state.seed = state.seed, None
    if seed is None or seed[0] != _level(server, request.sub_function).level:
        return True
    request.found = seed[1]
    return False


def _key_wrong(server: UdsServer, request: Request) -> int:
    """A wrong key counts; the one that reaches the limit starts the delay."""
    if _asks_for_seed(request):
        return 0
    level = _level(server, request.sub_function)
    key = compute_key(level.algorithm, request.found, level.secret, level.level)
    attempts = server.memory.attempts[level.level]
    if hmac.compare_digest(key, request.payload[2:]):
        attempts.wrong = 0
        return 0
    attempts.wrong += 1
    if attempts.wrong < level.attempts:
        return Nrc.invalidKey
    attempts.wrong = 0
    attempts.delay_until_ns = request.now_ns + level.delay_ns
    return Nrc.exceedNumberOfAttempts


def _serve(server: UdsServer, request: Request) -> bytes:
    level = _level(server, request.sub_function)
    head = bytes((0x67, request.sub_function))
    if _asks_for_seed(request):
        return head + _seed(server, level)
    server.state.open_level = level.level
    server.note(request.now_ns, "security", f"level {level.level:02X} is open")
    return head


def _seed(server: UdsServer, level: SecurityLevel) -> bytes:
    state = server.state
    if state.open_level == level.level:
        return bytes(level.seed_len)
    if state.seed is not None and state.seed[0] == level.level:
        return state.seed[1]  # asked again: the same seed, so that nobody may pick a weak one
    seed = server.entropy.token_bytes(level.seed_len)
    while not any(seed):  # zero means open
        seed = server.entropy.token_bytes(level.seed_len)
    state.seed = (level.level, seed)
    return seed


SPECS = {
    0x27: ServiceSpec(
        serve=_serve,
        sessions=NOT_DEFAULT,
        sub_functions=_sub_functions,
        sub_function_sessions=_sessions,
        min_len=2,
        exact_len=_exact_len,
        checks={
            "level released": _not_released,
            "delay over": _delay_runs,
            "seed outstanding": _no_seed_outstanding,
            "key right": _key_wrong,
        },
    )
}
