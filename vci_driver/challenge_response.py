"""The tester's half of challenge-response: a unit's challenge to the broker (`29 05`), the broker's proof back (`29 06`).

The client's key never leaves the back end; the tester could not open a unit by itself.
"""

from __future__ import annotations

from vci_driver.car_map import EcuEntry
from vci_driver.outcome import StepFailed, UnlockResult
from vci_driver.uds_connection import EcuClient
from vci_driver.unlocking import ASK_ERRORS, MIN_CHALLENGE_LEN, Pause, at_once, expect_return, is_not_there
from wire.authentication import Configuration
from wire.challenge_response import ED25519, ProofRequest, decode_needed, decode_proof
from wire.entropy import Entropy
from wire.errors import RemoteFault
from wire.portal_api import UnlockKind
from wire.uds import AuthenticationReturn, AuthenticationTask

CLIENT_CHALLENGE_LEN = 32


class ChallengeResponseScheme:
    """A broker's proof over the unit's challenge, unidirectional, without a session key."""

    kind = UnlockKind.PROOF

    def __init__(self, entropy: Entropy) -> None:
        self._entropy = entropy
        self._client_challenge = b""

    def challenge(self, client: EcuClient) -> bytes:
        """Ask the unit for a challenge, and return what the broker is to prove over."""
        self._client_challenge = self._entropy.token_bytes(CLIENT_CHALLENGE_LEN)
        try:
            answer = client.request_challenge_for_authentication(Configuration.PLAIN, ED25519)
            assert answer is not None
            data = answer.service_data
            expect_return(client, data.return_value, AuthenticationReturn.requestAccepted)
            decode_needed(data.needed_additional_parameter or b"")
            challenge = data.challenge_server or b""
            if data.algorithm_indicator != ED25519 or len(challenge) < MIN_CHALLENGE_LEN:
                raise RemoteFault(
                    f"{client.conn.target!r} gave a challenge of {len(challenge)} bytes: none to prove over"
                )
        except ASK_ERRORS as error:
            result = UnlockResult.SERVICE_NOT_FOUND if is_not_there(error) else UnlockResult.READING_REQUEST_FAILED
            raise StepFailed(result, error) from error
        return ProofRequest(
            task=AuthenticationTask.verifyProofOfOwnershipUnidirectional,
            configuration=Configuration.PLAIN,
            algorithm=ED25519,
            server_challenge=challenge,
            client_challenge=self._client_challenge,
        ).encode()

    def present(
        self,
        client: EcuClient,
        payload: bytes,
        vin: str,  # noqa: ARG002 - the proof is over it
        holder: EcuEntry,  # noqa: ARG002
        pause: Pause = at_once,
    ) -> None:
        """Bring the proof."""
        pause()
        try:
            proof, additional = decode_proof(payload)
            answer = client.verify_proof_of_ownership_unidirectional(
                algorithm_indicator=ED25519,
                proof_of_ownership_client=proof,
                challenge_client=self._client_challenge,
                additional_parameter=additional,
            )
            assert answer is not None
            returned = answer.service_data.return_value
            expect_return(client, returned, AuthenticationReturn.ownershipVerifiedAuthenticationComplete)
        except ASK_ERRORS as error:
            raise StepFailed(UnlockResult.WRITING_TOKEN_FAILED, error) from error

    def lock(self, client: EcuClient) -> None:
        """De-authenticate."""
        response = client.deauthenticate()
        assert response is not None
        expect_return(client, response.service_data.return_value, AuthenticationReturn.deAuthenticationSuccessful)
