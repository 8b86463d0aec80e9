"""What a served car records: where, in which formats, and how much is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Traces into `folder`, in these formats; of each format at most `max_files` of `max_file_bytes` are kept."""

    folder: Path
    formats: tuple[str, ...]
    max_file_bytes: int = 50_000_000
    max_files: int = 4
