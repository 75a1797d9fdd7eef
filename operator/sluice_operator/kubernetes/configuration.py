"""Where the API server is, and how to log in: from inside of the cluster, or by KUBECONFIG."""

import os

from kubernetes.aio import client, config


async def configuration() -> client.Configuration:
    """That of the pod's account, or of the kubeconfig's current context."""
    found = client.Configuration()
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        config.load_incluster_config(found)
    else:
        await config.load_kube_config(client_configuration=found)
    return found
