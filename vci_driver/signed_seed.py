"""The tester's half of a signed-seed lock (stage 1): `27 09` fetches the seed, the back end signs it, `27 0A` brings the key.

A seed of zeros says that the lock is open. The scheme has no command that locks: a tester who wants that resets the gateway.
"""

from __future__ import annotations

from udsoncan.exceptions import NegativeResponseException
from udsoncan.services.ECUReset import ECUReset

from vci_driver.car_map import EcuEntry
from vci_driver.outcome import LockState, StepFailed, UnlockResult
from vci_driver.uds_connection import EcuClient
from vci_driver.unlocking import ASK_ERRORS, AlreadyOpen, LockStateUnknown, Pause, at_once, is_not_there
from wire.errors import RemoteFault
from wire.portal_api import UnlockKind
from wire.signed_seed import SEED_LEN, SeedRequest
from wire.uds import Nrc


class NoLockCommand(RemoteFault):
    """The lock cannot be closed from here."""


class SignedSeedScheme:
    """A key that only the back end makes, for the seed of the gateway's 0x27 level `level` (the odd request number)."""

    kind = UnlockKind.SIGNED_SEED

    def __init__(self, level: int) -> None:
        self.level = level

    def challenge(self, client: EcuClient) -> bytes:
        """Fetch the seed. Raises `AlreadyOpen` where there is nothing to unlock."""
        try:
            seed = _seed(client, self.level)
        except ASK_ERRORS as error:
            result = UnlockResult.SERVICE_NOT_FOUND if is_not_there(error) else UnlockResult.READING_REQUEST_FAILED
            raise StepFailed(result, error) from error
        if not any(seed):
            raise AlreadyOpen
        return SeedRequest(level=self.level, seed=seed).encode()

    def present(
        self,
        client: EcuClient,
        payload: bytes,
        vin: str,  # noqa: ARG002 - the signature is over it
        holder: EcuEntry,  # noqa: ARG002
        pause: Pause = at_once,
    ) -> None:
        """Send the key."""
        pause()
        try:
            client.send_key(self.level + 1, payload)
        except ASK_ERRORS as error:
            raise StepFailed(UnlockResult.WRITING_TOKEN_FAILED, error) from error

    def state(self, client: EcuClient) -> LockState:
        """Return whether the lock is open. In the extended session. Raises `LockStateUnknown`, and what udsoncan raises."""
        try:
            return LockState(locked=any(_seed(client, self.level)))
        except NegativeResponseException as refused:
            if (
                refused.response.code == Nrc.requiredTimeDelayNotExpired
            ):  # an open level gives zeros, whatever was wrong before
                return LockState(locked=True)
            raise LockStateUnknown(f"{client.conn.target!r} does not say whether it is open: {refused}") from refused

    def lock(self, client: EcuClient) -> None:
        """Reset the gateway: besides sleep and the ignition, nothing else ends a grant of this scheme."""
        try:
            client.ecu_reset(ECUReset.ResetType.hardReset)
        except NegativeResponseException as refused:
            raise NoLockCommand(
                f"{client.conn.target!r} has no command that locks it, and it refuses the reset that would: {refused}. "
                "Switch the ignition off, or let the car fall asleep."
            ) from refused


def _seed(client: EcuClient, level: int) -> bytes:
    response = client.request_seed(level)
    assert response is not None
    seed = bytes(response.service_data.seed)
    if len(seed) != SEED_LEN:
        raise RemoteFault(f"{client.conn.target!r} gave a seed of {len(seed)} bytes, not of {SEED_LEN}")
    return seed
