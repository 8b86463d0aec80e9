"""Where the re-encoded media of identity checks lie: one sealed file each, named by time and chance, erased by a retention rule.

A file comes to be whole or not at all. Its id is the second it was kept at and 128 random bits, as hex: so a name cannot lead out
of the folder, nobody guesses one, and its age needs no clock of the disk. Which medium belongs to whom stands in the records; a
file of which no record speaks (its upload never committed) is an orphan, and is swept. When a sweep first finds a medium decided
on, it writes that second into the file's time of change.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from portal_sim.sealing import Sealing
from wire.entropy import Entropy
from wire.errors import LocalMisuse
from wire.key_set import write_whole

ONLY_OURS = 0o600
ONLY_OUR_FOLDER = 0o700
RANDOM_BYTES = 16
LAST_UTC_S = 16**10 - 1
"""What ten hex digits hold: 34,000 years."""
MEDIUM_ID = re.compile(r"[0-9a-f]{10}[0-9a-f]{32}")
PART = re.compile(rf"\.({MEDIUM_ID.pattern})\.\d+\.part")
"""What `write_whole` leaves of a medium when its process is killed."""
UNDECIDED_S = 0
"""Time of change of a file whose medium nobody has decided on yet."""
DAY_S = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long media are kept, in seconds: after the upload, after the decision, and where no record speaks of them.

    `orphan_s` must be longer than any upload takes from its first file to its record.
    """

    keep_s: int = 30 * DAY_S
    keep_after_decision_s: int = DAY_S
    orphan_s: int = 3600

    def __post_init__(self) -> None:
        """Refuse times that run backwards. Raises ValueError."""
        if min(self.keep_s, self.keep_after_decision_s, self.orphan_s) < 0:
            raise ValueError("media are kept for 0 seconds or longer")

    def over_at_s(self, kept_s: int, decided_s: int | None) -> int:
        """Return when a medium has to be gone that was kept at `kept_s`, and decided on at `decided_s` (None: not yet)."""
        longest_s = kept_s + self.keep_s
        return longest_s if decided_s is None else min(longest_s, decided_s + self.keep_after_decision_s)


class MediaFolder:
    """The folder with the sealed media. Times are UTC seconds. What is no id raises `LocalMisuse`, and no file is touched."""

    def __init__(self, folder: Path, sealing: Sealing, entropy: Entropy, retention: Retention | None = None) -> None:
        folder.mkdir(mode=ONLY_OUR_FOLDER, parents=True, exist_ok=True)
        self.retention = retention or Retention()
        self._folder = folder
        self._sealing = sealing
        self._entropy = entropy

    def keep(self, medium: bytes, now_s: int) -> str:
        """Keep a medium, durably; return its id, to be written into a record within `orphan_s`."""
        if not 0 <= now_s <= LAST_UTC_S:
            raise LocalMisuse(f"no time to keep a medium at: {now_s}")
        medium_id = f"{now_s:010x}{self._entropy.token_bytes(RANDOM_BYTES).hex()}"
        path = self._path(medium_id)
        write_whole(path, self._sealing.seal(medium, _about(medium_id)), mode=ONLY_OURS)
        os.utime(path, (UNDECIDED_S, UNDECIDED_S))
        return medium_id

    def read(self, medium_id: str) -> bytes | None:
        """Return a medium; None where it has been erased. Raises what the sealer raises where the file was changed."""
        try:
            sealed = self._path(medium_id).read_bytes()
        except FileNotFoundError:
            return None
        return self._sealing.unseal(sealed, _about(medium_id))

    def erase(self, medium_id: str) -> None:
        """Erase a medium; that it is gone already is as good."""
        self._path(medium_id).unlink(missing_ok=True)

    def erase_older_than(self, now_s: int, keep_s: int) -> list[str]:
        """Erase all that was kept more than `keep_s` ago, what was left half written too; return the ids of the media."""
        return self._erase_where(lambda _, kept_s: kept_s + keep_s < now_s)

    def sweep(self, now_s: int, *, undecided: Collection[str], decided: Collection[str]) -> list[str]:
        """Erase what the retention rule does not allow to be here any longer, and orphans; return the ids of the media.

        `undecided`, `decided`: every medium that a record speaks of, by whether its check is still in progress. Read both in one
        transaction. A decision counts from the first sweep that finds it: sweep every minute or so.
        """

        def over(medium_id: str, kept_s: int) -> bool:
            if medium_id in undecided:
                return self.retention.over_at_s(kept_s, None) <= now_s
            if medium_id in decided:
                return self.retention.over_at_s(kept_s, self._decided_s(medium_id, now_s)) <= now_s
            return kept_s + self.retention.orphan_s <= now_s

        return self._erase_where(over)

    def __iter__(self) -> Iterator[str]:
        """Yield the ids of all media that are here, oldest first."""
        return iter(sorted(path.name for path in self._folder.iterdir() if MEDIUM_ID.fullmatch(path.name)))

    def _decided_s(self, medium_id: str, now_s: int) -> int:
        """Return when a medium was first found decided on: now, where it was not found so before."""
        path = self._path(medium_id)
        noted_s = int(path.stat().st_mtime)
        if noted_s == UNDECIDED_S:
            os.utime(path, (now_s, now_s))
            return now_s
        return noted_s

    def _erase_where(self, over: Callable[[str, int], bool]) -> list[str]:
        """Erase the files whose id and time say so. A half-written one has no record; what is not ours is left alone."""
        erased = []
        for path in [*self._folder.iterdir()]:
            part = PART.fullmatch(path.name)
            medium_id = path.name if part is None else part[1]
            if not MEDIUM_ID.fullmatch(medium_id):
                continue
            if over(medium_id if part is None else path.name, int(medium_id[:10], 16)):
                path.unlink(missing_ok=True)
                if part is None:
                    erased.append(medium_id)
        return sorted(erased)

    def _path(self, medium_id: str) -> Path:
        if not MEDIUM_ID.fullmatch(medium_id):
            raise LocalMisuse("this is not the id of a medium")
        return self._folder / medium_id


def _about(medium_id: str) -> str:
    """Return what a file is sealed about: renamed to another's id, it does not open."""
    return f"identity medium {medium_id}"
