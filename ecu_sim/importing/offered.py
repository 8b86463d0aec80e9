"""What the bench's server can do at all, asked of its own table of services, so that an importer promises nothing else."""

from __future__ import annotations

from typing import Any, cast

from ecu_sim.services import SERVICES

_OF_THE_PROFILE = frozenset({0x10, 0x27})
"""Services whose sub-functions the profile itself lists."""


def sub_functions_of(sid: int) -> frozenset[int] | None:
    """Return the sub-functions that the bench's service knows, or None where it has none or the profile says which."""
    spec = SERVICES.get(sid)
    if spec is None or spec.sub_functions is None or sid in _OF_THE_PROFILE:
        return None
    return spec.sub_functions(cast("Any", None))
