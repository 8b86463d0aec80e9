"""SecurityAccess 0x27: seed and key, attempts, delay.

One level is open at a time. A seed is random, single-use, and zero only when its level is open. A wrong key voids the seed and
counts; the attempt that reaches the limit gets 0x36, and no seed is given (0x37) until the delay is over. The count and the
delay are kept without supply, so pulling the plug gains nothing.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from ecu_sim.profile import SecurityLevel
from ecu_sim.refusal import Refusal
from ecu_sim.services.request import NOT_DEFAULT, Request, ServiceSpec, exact_length
from wire.seed_key import compute_key, key_len
from wire.token import Scope
from wire.uds import Nrc

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer


def _sub_functions(server: UdsServer) -> frozenset[int]:
    return frozenset(number for level in server.profile.security for number in (level, level + 1))


def _sessions(server: UdsServer, sub_function: int) -> frozenset[int]:
    return server.profile.security[(sub_function - 1) | 1].sessions


def _serve(server: UdsServer, request: Request) -> bytes:
    number = (request.sub_function - 1) | 1
    level = server.profile.security[number]
    if request.sub_function == number:
        return _request_seed(server, request, level)
    return _send_key(server, request, level)


def _require_grant(server: UdsServer, now_ns: int) -> None:
    gate = server.gate
    if server.profile.security_access != "after_grant" or gate is None:
        return
    if not gate.allows(Scope.SECURITY_ACCESS, now_ns):
        raise Refusal(gate.refusal_nrc, "security access needs a grant")


def _request_seed(server: UdsServer, request: Request, level: SecurityLevel) -> bytes:
    _require_grant(server, request.now_ns)
    exact_length(request, 2)
    state = server.state
    head = bytes((0x67, level.level))
    if state.open_level == level.level:
        return head + bytes(level.seed_len)
    attempts = server.memory.attempts[level.level]
    if request.now_ns < attempts.delay_until_ns:
        raise Refusal(Nrc.requiredTimeDelayNotExpired, "delay after wrong keys")
    if state.seed is not None and state.seed[0] == level.level:
        return head + state.seed[1]  # asked again: the same seed, so that nobody may pick a weak one
    seed = server.entropy.token_bytes(level.seed_len)
    while not any(seed):  # zero means open
        seed = server.entropy.token_bytes(level.seed_len)
    state.seed = (level.level, seed)
    return head + seed


def _send_key(server: UdsServer, request: Request, level: SecurityLevel) -> bytes:
    _require_grant(server, request.now_ns)
    exact_length(request, 2 + key_len(level.algorithm))
    state = server.state
    seed, state.seed = state.seed, None  # one try for each seed
    if seed is None or seed[0] != level.level:
        raise Refusal(Nrc.requestSequenceError, "no seed outstanding")
    key = compute_key(level.algorithm, seed[1], level.secret, level.level)
    attempts = server.memory.attempts[level.level]
    if not hmac.compare_digest(key, request.payload[2:]):
        attempts.wrong += 1
        if attempts.wrong >= level.attempts:
            attempts.wrong = 0
            attempts.delay_until_ns = request.now_ns + level.delay_ns
            raise Refusal(Nrc.exceedNumberOfAttempts, "too many wrong keys")
        raise Refusal(Nrc.invalidKey, "wrong key")
    attempts.wrong = 0
    state.open_level = level.level
    server.note(request.now_ns, "security", f"level {level.level:02X} is open")
    return bytes((0x67, level.level + 1))


SPECS = {
    0x27: ServiceSpec(serve=_serve, sessions=NOT_DEFAULT, sub_functions=_sub_functions, sub_function_sessions=_sessions)
}
