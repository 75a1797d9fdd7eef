"""Asks the model servers of stable and of the canary, through the gateway, what their requests and responses look like.

What really serves is compared, and not what the registry says of it: only the server knows which columns it needs.
"""

import httpx

from sluice_operator.api import names, signature
from sluice_operator.api.observation import Proof, Signatures
from sluice_operator.api.signature import Signature
from sluice_operator.routing.gateway import Gateway, GatewayError
from sluice_operator.telemetry.stages import in_stage


@in_stage("gateway")
async def signatures(gateway: Gateway, header: str, stable: str, canary: str) -> Signatures | Proof:
    """The signatures of the two revisions, which the probe header `header` leads to; a Proof if one did not answer."""
    answered: list[Signature | None] = []
    try:
        async with gateway.client() as client:
            for value, revision in (("never", stable), ("always", canary)):
                answer = await gateway.get(client, "/metadata", {header: value})
                if answer.headers.get(names.HEADER_REVISION) != revision:
                    status = answer.status_code
                    return Proof(False, f"another server than revision {revision} says what it takes (status {status})")
                answered.append(signature.parse(_json(answer)))
    except GatewayError as error:
        return Proof(False, f"the revisions do not say what they take: {error}")
    return Signatures(*answered)


def _json(answer: httpx.Response) -> object:
    try:
        return answer.json()
    except ValueError:
        return None
