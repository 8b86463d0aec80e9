"""What the bench's server can do at all, asked of its own table of services, so that an importer promises nothing else."""

from __future__ import annotations

import random
from functools import lru_cache

from ecu_sim.profile import EcuProfile
from ecu_sim.profile_file import SECTIONS
from ecu_sim.server import UdsServer
from ecu_sim.services import SERVICES
from ecu_sim.vehicle_state import VehicleState
from wire.entropy import SeededEntropy
from wire.uds import Service

_OF_THE_PROFILE = frozenset({0x10, 0x27})
"""Services whose sub-functions the profile itself lists."""
_BARE = EcuProfile(
    name="bare",
    title="a unit that has nothing of its own",
    address=0,
    request_id=0x700,
    response_id=0x701,
    functional_ids=(),
    services={},
    sessions=frozenset((0x01,)),
    dids={},
    routines={},
)


PROFILE_KEYS = frozenset(key for section in SECTIONS for key in section.KEYS)
"""Keys of a profile beside those of its head: what is not among them cannot be written."""


OFFERED = frozenset(SERVICES) - {Service.AccessTimingParameter}
"""Services that an imported profile may have. 0x83 is of an older edition: neither a file nor a recording says which it is."""


@lru_cache(maxsize=256)
def sub_functions_of(sid: int) -> frozenset[int] | None:
    """Return the sub-functions that the bench's service knows, or None where it has none or the profile says which."""
    spec = SERVICES.get(sid)
    if spec is None or spec.sub_functions is None or sid in _OF_THE_PROFILE:
        return None
    bare = UdsServer(_BARE, entropy=SeededEntropy(random.Random(0)), vehicle=VehicleState())  # noqa: S311 - draws nothing
    return spec.sub_functions(bare)
