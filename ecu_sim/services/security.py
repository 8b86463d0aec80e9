"""SecurityAccess 0x27: seed and key, attempts, delay.

One level is open at a time. A seed is random, single-use, and zero only when its level is open. A wrong key voids the seed and
counts; the attempt that reaches the limit gets 0x36, and no seed is given (0x37) until the delay is over. The count and the
delay are kept without supply, so pulling the plug gains nothing. A level that is the unit's lock is asked in the same order, and
its gate answers (`ecu_sim.unlock.gate.SeedGate`); it is not among those of which one is open at a time.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from ecu_sim.machines import LEVEL, Level, LevelInput
from ecu_sim.profile import SecurityLevel
from ecu_sim.services.request import NOT_DEFAULT, Request, ServiceSpec
from ecu_sim.unlock.gate import SeedGate
from wire.seed_key import compute_key, key_len
from wire.token import Scope

if TYPE_CHECKING:
    from ecu_sim.server import UdsServer


def _sub_functions(server: UdsServer) -> frozenset[int]:
    gate = server.seed_gate
    levels = (*server.profile.security, *(gate.levels if gate is not None else ()))
    return frozenset(number for level in levels for number in (level, level + 1))


def _gate_of(server: UdsServer, sub_function: int) -> SeedGate | None:
    """Return the lock whose own level this is, or None."""
    gate = server.seed_gate
    return gate if gate is not None and (sub_function - 1) | 1 in gate.levels else None


def _level(server: UdsServer, sub_function: int) -> SecurityLevel:
    return server.profile.security[(sub_function - 1) | 1]


def _sessions(server: UdsServer, sub_function: int) -> frozenset[int]:
    gate = _gate_of(server, sub_function)
    return _level(server, sub_function).sessions if gate is None else gate.levels[(sub_function - 1) | 1]


def _asks_for_seed(request: Request) -> bool:
    return request.sub_function % 2 == 1


def _exact_len(server: UdsServer, request: Request) -> int:
    if _asks_for_seed(request):
        return 2
    gate = _gate_of(server, request.sub_function)
    return 2 + (key_len(_level(server, request.sub_function).algorithm) if gate is None else gate.key_len)


def _not_released(server: UdsServer, request: Request) -> int:
    gate = server.gate
    if _gate_of(server, request.sub_function) is not None:  # it is the way to a grant
        return 0
    if server.profile.security_access != "after_grant" or gate is None:
        return 0
    return 0 if gate.allows(Scope.SECURITY_ACCESS, request.now_ns) else gate.refusal_nrc


def _state(server: UdsServer, level: int, now_ns: int) -> Level:
    """Return where a level is."""
    state = server.state
    if state.open_level == level:
        return Level.OPEN
    if now_ns < server.memory.attempts[level].delay_until_ns:
        return Level.WAITING
    return Level.SEED_GIVEN if state.seed is not None and state.seed[0] == level else Level.LOCKED


def _delay_runs(server: UdsServer, request: Request) -> int:
    if not _asks_for_seed(request):
        return False
    gate = _gate_of(server, request.sub_function)
    if gate is not None:
        return gate.delay_runs(request.now_ns)
    level = _level(server, request.sub_function).level
    return LEVEL[_state(server, level, request.now_ns)][LevelInput.SEED_ASKED].nrc


def _no_seed_outstanding(server: UdsServer, request: Request) -> int:
    """One try for each seed: whatever comes of this key, its seed is void."""
    if _asks_for_seed(request):
        return False
    gate = _gate_of(server, request.sub_function)
    if gate is not None:
        request.found = gate.take_seed((request.sub_function - 1) | 1, request.now_ns)
        return request.found is None
    level = _level(server, request.sub_function).level
    state = server.state
    before = _state(server, level, request.now_ns)
    seed, state.seed = state.seed, None
    if before is not Level.SEED_GIVEN or seed is None:
        return LEVEL[before][LevelInput.WRONG_KEY].nrc
    request.found = seed[1]
    return 0


def _key_wrong(server: UdsServer, request: Request) -> int:
    """Compare the key, and go where the table says."""
    if _asks_for_seed(request):
        return 0
    gate = _gate_of(server, request.sub_function)
    if gate is not None:
        return gate.key((request.sub_function - 1) | 1, request.found, request.payload[2:], request.now_ns)
    level = _level(server, request.sub_function)
    key = compute_key(level.algorithm, request.found, level.secret, level.level)
    attempts = server.memory.attempts[level.level]
    if hmac.compare_digest(key, request.payload[2:]):
        happened = LevelInput.RIGHT_KEY
    else:
        happened = LevelInput.LAST_WRONG_KEY if attempts.wrong + 1 >= level.attempts else LevelInput.WRONG_KEY
    step = LEVEL[Level.SEED_GIVEN][happened]
    attempts.wrong = attempts.wrong + 1 if happened is LevelInput.WRONG_KEY else 0
    if step.to is Level.OPEN:
        server.state.open_level = level.level
        server.note(request.now_ns, "security", f"level {level.level:02X} is open")
    elif step.to is Level.WAITING:
        attempts.delay_until_ns = request.now_ns + level.delay_ns
    return step.nrc


def _work_ns(server: UdsServer, request: Request) -> int:
    return 0 if server.gate is None else server.gate.work_ns(request.sid, request.payload)


def _serve(server: UdsServer, request: Request) -> bytes:
    head = bytes((0x67, request.sub_function))
    if not _asks_for_seed(request):
        return head
    gate = _gate_of(server, request.sub_function)
    return head + (_seed(server, request) if gate is None else gate.seed(request.sub_function, request.now_ns))


def _seed(server: UdsServer, request: Request) -> bytes:
    level, state = _level(server, request.sub_function), server.state
    match _state(server, level.level, request.now_ns):
        case Level.OPEN:
            return bytes(level.seed_len)
        case Level.SEED_GIVEN:  # the same seed, so that nobody may pick a weak one
            assert state.seed is not None
            return state.seed[1]
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
        work_ns=_work_ns,
        checks={
            "level released": _not_released,
            "delay over": _delay_runs,
            "seed outstanding": _no_seed_outstanding,
            "key right": _key_wrong,
        },
    )
}
