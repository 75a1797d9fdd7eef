"""Asks the model servers of stable and of the canary, through the gateway, what their requests and responses look like.

What really serves is compared, and not what the registry says of it: only the server knows which columns it needs.
"""

from sluice_operator.api import signature
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
                reply = await gateway.metadata(client, {header: value})
                if reply.revision != revision:
                    other = f"another server than revision {revision} says what it takes (status {reply.status})"
                    return Proof(False, other)
                answered.append(signature.parse(reply.body or b""))
    except GatewayError as error:
        return Proof(False, f"the revisions do not say what they take: {error}")
    return Signatures(*answered)
