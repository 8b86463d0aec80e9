"""Kills a portal at any point of a person's way, starts it again, and looks whether anything is half done.

One point: a child process walks a new person from sign-up to an issued token against the store, and says after each unit of
work that it happened. It is killed with SIGKILL: by itself, at the n-th of all the instants around its statements and commits,
or from outside, after a random time, which may be in the middle of a write. Then the store is opened anew. The oracle is the same
walk, with the same randomness, in a store in memory (`crash_model`): what is kept about the person must be, in all parts, what it
was there after the units that were told, or after one more. Beyond that it is tried by the door: told codes are not accepted
again, told sessions live, and who asks again for a told unlock gets the same and no second record.

    python tests/support/crash_walk.py --points 1000 --seed 1 [--database postgresql | URL] [--server]
"""

import argparse
import base64
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import postgres
import pyotp
import sqlalchemy as sa
from crash_model import ALL, DAY_S, Telling, Walk, model, observe
from portal_people import STEP_S
from portal_stores import CHAIN, sealing

from portal_sim.audit_chain import first_broken
from portal_sim.records import AuditFilter
from portal_sim.sql.store import SqlStore
from wire import portal_api as api
from wire.errors import CarrierFault
from wire.portal_api import PortalErrorCode

POINTS_FOR_ONE_DATABASE = 100
"""Then a new one is begun: the log is verified from its beginning to its end at each point."""
ANEW = 10**9
"""Added to a point's seed after the restart: the portal's randomness does not begin again."""


class Told(Exception):
    """An invariant does not hold."""


# ---- the child


def _teller(pipe: int) -> Callable[[str, object], None]:
    def say(kind: str, value: object) -> None:
        os.write(pipe, json.dumps([kind, value]).encode() + b"\n")

    return say


def child(url: str, point: int, pipe: int, kill_at: int) -> None:
    """Walk until the end, or until the `kill_at`-th instant."""
    instants = 0
    say = _teller(pipe)
    say("step", "start")

    def instant(*_: object) -> None:
        nonlocal instants
        instants += 1
        if instants == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def told() -> None:
        instant()
        say("unit", None)
        instant()

    try:
        store = SqlStore.at(url, sealing())
    except CarrierFault:  # the server is killed already
        return
    for name in ("before_cursor_execute", "after_cursor_execute", "commit"):
        sa.event.listen(store._engine, name, instant)
    walk = Walk(point, Telling(store, told), say)
    try:
        for step in walk.steps():
            say("step", step)
    except api.PortalError as error:  # the database went away
        if error.code is not PortalErrorCode.UNAVAILABLE:
            raise
    else:
        say("end", instants)


@dataclass
class Report:
    """What a child said before it was killed."""

    said: list[tuple[str, object]]

    def all(self, kind: str) -> list[object]:
        return [value for each, value in self.said if each == kind]

    def last(self, kind: str) -> object:
        return (self.all(kind) or [None])[-1]


def run(
    url: str, point: int, *, kill_at: int = 0, after_s: float = 0.0, trouble: Callable[[], None] | None = None
) -> Report:
    """Let a child walk, kill it, and return what it said. `trouble` is done instead of killing it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            os.close(reader)
            child(url, point, writer, kill_at)
            status = 0
        except BaseException:  # noqa: BLE001 - whatever it is, it must not go on as a second parent
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    if after_s:
        time.sleep(after_s)
        if trouble is None:
            os.kill(pid, signal.SIGKILL)
        else:
            trouble()
    with os.fdopen(reader, "rb") as pipe:
        lines = pipe.read().splitlines()
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise Told("the child failed by itself")
    return Report([tuple(json.loads(line)) for line in lines])


# ---- after the restart


def check(url: str, point: int, report: Report) -> None:
    """Open the store anew; raise `Told` where it is not as it must be."""
    seen, done = model(point)
    count = len(report.all("unit"))
    store = SqlStore.at(url, sealing())
    try:
        with store.reading() as reading:
            found = observe(reading, done)
            broken = first_broken(CHAIN, reading.audit(), reading.audit_head())
        _require(broken is None, f"the log does not hold: {broken}")
        if found not in seen[count : count + 2]:
            raise Told(f"after {count} units: {_difference(found, seen[count : count + 2])}")
        _check_rules(found)
        _check_told(report, found)
        _check_by_the_door(store, point, report, found)
    finally:
        store.close()


def _check_rules(found: dict[str, object]) -> None:
    """What must hold whatever the model says, so that no operation is cut in two units where it must be one."""
    account, actions = found["account"], [each.action for each in found["log"]]
    issues = [each.audit_id for each in found["log"] if each.action == "unlock issued"]
    issued = [audit_id for audit_id, key in found["issued"].items() if key is not None]
    _require(issues == issued, "an issue without its record, or a record without its issue")
    _require(bool(issues) == (found["reply"] is not None), "an issue without its answer")
    _require((account is not None) == ("sign-up" in actions), "an account without its record, or a record without it")
    if account is None:
        return
    submitted = actions.count("identity check submitted")
    _require(account.attempts_left == 3 - submitted, "an attempt that was not counted, or counted without a check")
    _require(bool(account.media) == bool(submitted), "a check without its media")
    _require((account.secret is not None) == ("authenticator enrolled" in actions), "half an enrolment")
    _require((account.secret is not None) == (found["recovery codes"] > 0), "an enrolment without recovery codes")
    _require((account.last_step >= 0) == ("login" in actions), "a code taken for nothing")


def _check_told(report: Report, found: dict[str, object]) -> None:
    for audit_id, _ in report.all("unlock"):
        _require(found["issued"].get(audit_id) is not None, "a told unlock is gone")
    for token in report.all("session"):
        _require(found["sessions"][token], "a told session is gone")


def _check_by_the_door(store: SqlStore, point: int, report: Report, found: dict[str, object]) -> None:
    """Ask the portal itself, started anew: a code once taken is not taken again, an unlock once given is given again."""
    again, account = Walk(point, store, seed=ANEW + point), found["account"]
    if account is None or account.secret is None:
        # Nobody's check is left open, or the next person's walk would not be the one in memory.
        again.counter.portal.handle_timer(again.counter.now_s + DAY_S // 2)
        return
    person = again.person
    person.phone = pyotp.TOTP(base64.b32encode(account.secret).decode())
    again.counter.now_s = account.last_step * STEP_S + 1  # the code that was taken last still counts, but for that
    code, sessions, unlock = person.code(), report.all("session"), report.last("unlock")
    if sessions:
        person.session = sessions[-1]
        again.counter.call(api.GetStatus(session=person.session))
    if unlock is not None:
        answer = again.counter.call(replace(again.wished(), code=None))
        _require([answer.audit_id, answer.payload.hex()] == unlock, "who asks again gets another unlock")
        with store.reading() as reading:
            mine = reading.audit(0, None, AuditFilter(person=person.email))
        _require(len(mine) == len(found["log"]), "who asks again leaves a second record")
    try:
        person.finish(person.begin(), code)
    except api.PortalError as error:
        _require(error.code is PortalErrorCode.CODE_REJECTED, f"a taken code is answered with {error.code}")
    else:
        raise Told("a code was taken twice")


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise Told(sentence)


def _difference(found: dict[str, object], wanted: list[dict[str, object]]) -> str:
    return (
        "; ".join(
            f"{name} is {found[name]!r}, not one of {[each[name] for each in wanted]!r}"
            for name in found
            if all(found[name] != each[name] for each in wanted)
        )
        or "each part is as it was at one of two instants, but not all at the same one"
    )


# ---- all points


@contextmanager
def databases(kind: str) -> Iterator[Callable[[], str]]:
    """Give new databases of a kind, on a real disk and with commits that are durable; or always the one at a URL."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="sgw-crash-") as folder:
            numbers = iter(range(ALL))
            yield lambda: f"sqlite:///{Path(folder) / f'{next(numbers)}.db'}"
    elif kind == "postgresql":
        cluster = postgres.make_cluster(durable=True)
        try:
            yield cluster.new_database
        finally:
            postgres.remove(cluster)
    else:
        yield lambda: kind


def kill_server(points: int, seed: int) -> Tally[str]:
    """Kill not the portal but PostgreSQL under it, in turns by SIGKILL and by an immediate stop."""
    rng, steps = random.Random(seed), Tally[str]()
    cluster = postgres.make_cluster(durable=True)
    try:
        url = cluster.new_database()
        began = time.monotonic()
        run(url, 0)
        length_s = time.monotonic() - began
        for point in range(1, points + 1):
            end = cluster.kill if point % 2 else cluster.stop
            report = run(url, point, after_s=rng.uniform(0.02, length_s), trouble=end)
            cluster.start(durable=True)
            check(url, point, report)
            steps[str(report.last("step"))] += 1
    finally:
        postgres.remove(cluster)
    return steps


def kill_portal(kind: str, points: int, seed: int, progress: Callable[[str], None]) -> Tally[str]:
    """Kill the portal at so many points; return in which operations. Raises `Told`."""
    rng, steps = random.Random(seed), Tally[str]()
    with databases(kind) as new:
        url, base = new(), rng.randrange(10**6)
        began = time.monotonic()
        whole = run(url, base)
        length_s, instants = time.monotonic() - began, int(whole.last("end"))
        check(url, base, whole)
        for point in range(1, points + 1):
            if point % POINTS_FOR_ONE_DATABASE == 0:
                url = new()
                SqlStore.at(url, sealing()).close()
                progress(f"{point} of {points} points")
            if point % 3:
                report = run(url, base + point, kill_at=rng.randint(1, instants))
            else:
                report = run(url, base + point, after_s=rng.uniform(0.001, length_s))
            try:
                check(url, base + point, report)
            except Told as error:
                raise Told(f"point {point} of seed {seed}, in {report.last('step')}: {error}") from None
            steps[str(report.last("step"))] += 1
    return steps


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Kill the portal at random points, and look whether anything is half done."
    )
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--database", default="sqlite", help="sqlite, postgresql, or a URL")
    parser.add_argument("--server", action="store_true", help="kill PostgreSQL instead of the portal")
    wish = parser.parse_args()
    began = time.monotonic()
    try:
        if wish.server:
            steps = kill_server(wish.points, wish.seed)
        else:
            steps = kill_portal(wish.database, wish.points, wish.seed, lambda line: print(line, flush=True))
    except Told as error:
        print(f"NOT AS IT MUST BE: {error}\nreplay: python {' '.join(sys.argv)} --seed {wish.seed}", flush=True)
        return 1
    took_s = time.monotonic() - began
    where = ", ".join(f"{step} {count}" for step, count in steps.most_common())
    print(
        f"{wish.points} points on {'a server' if wish.server else wish.database}, seed {wish.seed}: nothing half done"
    )
    print(f"killed in: {where}; {took_s:.1f} s, {took_s / wish.points * 1000:.0f} ms a point", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
