"""Names, labels and ports of what a ModelDeployment owns.

The model server has its own definitions of those that it needs; a contract test checks that both are equal.
"""

GROUP = "sluice.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "ModelDeployment"
PLURAL = "modeldeployments"

LABEL_OWNER = "sluice.dev/model-deployment"
LABEL_REVISION = "sluice.dev/revision"
NO_REVISION = "none"  # value of that label in the selector of a Service NAME that leads to nobody
ANNOTATION_REVISION = "sluice.dev/revision-settings"  # of a Deployment: the frozen settings, as JSON
ANNOTATION_STABLE = "sluice.dev/stable-revision"  # of Service NAME, which may select another one, as in Failover
LABEL_PREPARES = "sluice.dev/prepares"  # of a pod that prepares a model, in place of LABEL_OWNER, which Services select
LABEL_RUN = "sluice.dev/run"  # of a prepare Job: the run that it is a part of, or which loss it makes up for
LABEL_STORE_TOKEN = "sluice.dev/store-token"  # noqa: S105 - of the Secrets to delete when the store has another key
LABEL_SCRAPE = "sluice.dev/scrape"
LABEL_RECORD = "sluice.dev/record"
RUN_RECORD = "run"  # value of that label
CLAIM = "sluice-claim"  # the ConfigMap that says which operator works in its namespace
CLAIM_LABELS = {"sluice.dev/claim": "namespace"}
HTTP_ROUTE = "HTTPRoute"  # of the Gateway API, which not every cluster has
ANNOTATION_ANNOTATIONS = "sluice.dev/annotations"  # of an Ingress: the names of those that its spec asks for
ANNOTATION_STORE = "sluice.dev/in-store"  # of a run record: the address of the store that has it, too
RECORD_KEY = "run.json.zlib"  # key in the ConfigMap of a run record
RECORD_SUMMARY = frozenset({"model", "stable", "outcome", "reason", "message", "startedAt", "endedAt"})  # the others
ANNOTATION_COMMAND = "sluice.dev/command"
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED_BY = "sluice"

PODS_OF_A_BUDGET = 2  # of a revision, from which on it has a PodDisruptionBudget

PORT_HTTP = 8080
PORT_GATEWAY = 8081

TRACKING_URI_KEY = "MLFLOW_TRACKING_URI"  # key in the ConfigMap with the addresses
DIGEST_KEY = "SLUICE_MODEL_DIGEST"  # of the model that a pod fetches from the store
STORE_URL_KEY = "SLUICE_STORE_URL"  # likewise
STORE_OPEN_KEY = "SLUICE_STORE_OPEN"  # likewise: whether the store asks nobody for a token
TOLERANCE_KEY = "SLUICE_FEEDBACK_TOLERANCE"  # how far a predicted number may be from its label and be right

HEADER_REVISION = "X-Sluice-Revision"
HEADER_PROBE = "x-sluice-probe"  # keeps a request out of the model server's counters

MODEL_DIR = "/model"
FEEDBACK_DIR = "/etc/sluice/feedback"
REGISTRY_DIR = "/etc/sluice/registry"
STORE_DIR = "/etc/sluice/store"


def workload(owner: str, revision: str) -> str:
    """The Deployment and the Service of one revision."""
    return f"{owner}-{revision}"


def prepare_job(owner: str, revision: str) -> str:
    """The Job that prepares the model of one revision."""
    return f"{owner}-{revision}-prepare"


def metrics_service(owner: str) -> str:
    """The headless Service over all pods of all revisions, which Prometheus scrapes."""
    return f"{owner}-metrics"


def canary_ingress(owner: str) -> str:
    """The Ingress with the canary's weight."""
    return f"{owner}-canary"


def feedback_secret(owner: str) -> str:
    """The Secret with the key that signs prediction ids."""
    return f"{owner}-feedback"


def store_secret(owner: str) -> str:
    """The Secret with the token for the store."""
    return f"{owner}-store"


def registry_config(owner: str) -> str:
    """The ConfigMap with the addresses of the operator's registry and store, which new pods read."""
    return f"{owner}-registry"


def run_record(owner: str, run: str) -> str:
    """The ConfigMap with the record of a run. `run`: the id of the run, which is the canary's revision and a time."""
    return f"{owner}-run-{run}"


def labels(owner: str) -> dict[str, str]:
    """The labels of every object that belongs to `owner`."""
    return {
        "app.kubernetes.io/name": "sluice-model",
        "app.kubernetes.io/instance": owner,
        LABEL_MANAGED_BY: MANAGED_BY,
        LABEL_OWNER: owner,
    }
