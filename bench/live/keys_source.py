"""Where a served car learns the back end's public keys and revocations: a file or a URL, looked at again and again."""

from __future__ import annotations

import http.client
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from bench.topology import Car
from portal_sim.keys import key_set_of, make_keys
from wire.clock import NS_PER_S
from wire.entropy import LiveEntropy
from wire.errors import ConfigError
from wire.key_set import read_key_set
from wire.portal_api import KeySet
from wire.portal_trust import trust
from wire.world import World

LOOK_NS = 5 * NS_PER_S
"""How often a file is looked at: a vehicle hears of a revocation so late."""
FETCH_NS = 60 * NS_PER_S
FETCH_TIMEOUT_S = 3.0
MAX_BYTES = 10_000_000


class KeysSource:
    """Reads a key set from `where` (None: from nowhere). Until there is one, the car trusts keys whose private half is lost.

    A URL is read in a thread of its own once the car is served: a back end that is slow must not make the car late.
    """

    def __init__(self, where: str | None, utc_s: int, log: Callable[[str], None]) -> None:
        self._where = where
        self._log = log
        self._is_url = where is not None and urlsplit(where).scheme in ("http", "https")
        self._text: str | None = None
        self._problem: str | None = None
        self._fetching = False
        self.keys: KeySet = key_set_of(make_keys(LiveEntropy(), utc_s))
        if where is None:
            log(
                "no keys are named (portal: keys in the bench file, or --keys): the car trusts no back end and stays locked"
            )
        else:
            self._take(self._fetched())

    def watch(self, world: World, car: Car) -> None:
        """Look again from time to time, in the car's world."""
        if self._where is None:
            return
        every_ns = FETCH_NS if self._is_url else LOOK_NS
        asked, self._fetching = self._fetching, False

        def look(now_ns: int) -> None:
            self.renew(world, car)
            timer.set(now_ns + every_ns)

        timer = world.timer("keys", look)
        timer.set(
            world.now_ns if asked else world.now_ns + every_ns
        )  # an answer to the last car's world comes to nobody

    def renew(self, world: World, car: Car) -> None:
        """Look now, and let the car learn what is new."""
        if self._where is None or self._fetching:
            return
        if not self._is_url:
            self._learn(car, self._fetched())
            return
        self._fetching = True

        def fetch() -> None:
            found = self._fetched()
            world.post(lambda: self._learn(car, found))

        threading.Thread(target=fetch, name="fetch keys", daemon=True).start()

    def _learn(self, car: Car, found: str | Exception) -> None:
        self._fetching = False
        if self._take(found):
            car.take_keys(self.keys)

    def _complain(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._log(problem)

    def _fetched(self) -> str | Exception:
        """Return the text, or why there is none."""
        assert self._where is not None
        try:
            if not self._is_url:
                return Path(self._where).read_text(encoding="utf-8")
            context = trust(os.environ)  # read each time: a CA that was renewed is trusted without a restart
            with urllib.request.urlopen(self._where, timeout=FETCH_TIMEOUT_S, context=context) as answer:  # noqa: S310 - http or https, see above  # nosec B310
                return str(answer.read(MAX_BYTES).decode("utf-8"))
        except urllib.error.HTTPError as error:
            with error:  # it holds the connection
                return OSError(str(error))
        except (OSError, ValueError, http.client.HTTPException, ConfigError) as error:
            return error

    def _take(self, found: str | Exception) -> bool:
        """Take a text that is new; say once what is wrong with one. Return whether the keys are others than before."""
        assert self._where is not None
        if found == self._text:
            return False
        try:
            if isinstance(found, Exception):
                raise found
            self.keys = read_key_set(found, self._where)
        except (OSError, ValueError, http.client.HTTPException, ConfigError) as error:
            if isinstance(error, FileNotFoundError) and self._text is None:
                self._complain(f"there is no key set at {self._where} yet: the car trusts no back end until there is")
            else:
                self._complain(f"no new keys from {self._where}: {error}; the car goes on with those it has")
            return False
        self._text, self._problem = found, None
        revoked = len(self.keys.revoked_tokens) + len(self.keys.revoked_serials)
        self._log(f"keys from {self._where}: {len(self.keys.token_keys)} for tokens, one root, {revoked} revocations")
        return True
