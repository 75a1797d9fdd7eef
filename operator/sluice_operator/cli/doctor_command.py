"""`kubectl sluice doctor`: looks at an installation as a person would, and says for each fault what to do.

What only the operator can see (its settings, credentials and rights) is looked at in one of its pods.
"""

import argparse
from collections.abc import Iterator
from typing import Any

from sluice_operator.api.traffic import ParentRef
from sluice_operator.cli import cluster, doctor_pod, doctor_pods, doctor_split, text_table
from sluice_operator.cli.cluster import CommandError
from sluice_operator.installation.outcome import FAIL, OK

_OPERATORS = "app.kubernetes.io/name=sluice-operator"
_HTTP_ROUTES, _GATEWAYS = (f"{kind}.gateway.networking.k8s.io" for kind in ("httproutes", "gateways"))
_CHECK = ("python", "-m", "sluice_operator.installation.check", "--rights")


def add(verbs: Any) -> None:
    """Add the verb and its options."""
    parser = verbs.add_parser("doctor", help="whether all that Sluice needs is there, and what to do")
    parser.add_argument("-n", "--namespace", default="sluice-system", help="of the operator (default: %(default)s)")
    parser.add_argument("--ingress-class", default="nginx", help="whose gateway is tried (default: %(default)s)")
    parser.add_argument(
        "--gateway", type=_named_gateway, metavar="NAMESPACE/NAME", help="try this one of the Gateway API instead"
    )
    parser.add_argument("--no-split", action="store_true", help="make no route to try the gateway with")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print a line for each check. Exit code 1 if something is not well."""
    failed = 0
    for line in _lines(options):
        print(text_table.plain(line), flush=True)
        failed += line.startswith(FAIL)
    return 1 if failed else 0


def _lines(options: argparse.Namespace) -> Iterator[str]:
    try:
        if cluster.maybe("customresourcedefinition", "modeldeployments.sluice.dev") is None:
            yield f"{FAIL}  there is no CRD modeldeployments.sluice.dev: install Sluice first (docs/install.md)"
            return
        yield f"{OK}  the CRD is there"
    except CommandError as error:  # the others may be looked at all the same
        yield f"{FAIL}  whether the CRD is there is not known: {error}"
    for deployment in _operators(options.namespace):
        yield from doctor_pods.lines(deployment)
        if deployment.get("status", {}).get("readyReplicas"):
            yield from doctor_pod.says(deployment, *_CHECK)
            try:
                yield from _gateway(options, deployment)
            except CommandError as error:
                yield f"{FAIL}  the gateway cannot be tried: {error}"


def _operators(namespace: str) -> list[dict[str, Any]]:
    if found := cluster.found_by_label("deployments", _OPERATORS, namespace):
        return found
    raise CommandError(f"there is no operator in namespace {namespace}: name its namespace with -n, or install it")


def _gateway(options: argparse.Namespace, deployment: dict[str, Any]) -> Iterator[str]:
    if options.gateway is not None:
        yield from _gateway_api(options, deployment)
    elif cluster.maybe("ingressclass", options.ingress_class) is None:
        yield (
            f"{FAIL}  there is no IngressClass {options.ingress_class}: install a gateway, or name its class with"
            " --ingress-class, and in spec.traffic.ingress.className; one of the Gateway API is named with --gateway"
        )
    elif not options.no_split:
        yield from doctor_split.tried(deployment, options.ingress_class, doctor_split.ingresses(options.ingress_class))


def _gateway_api(options: argparse.Namespace, deployment: dict[str, Any]) -> Iterator[str]:
    asked: ParentRef = options.gateway
    if cluster.maybe("customresourcedefinition", _HTTP_ROUTES) is None:
        yield f"{FAIL}  there is no CRD {_HTTP_ROUTES}: install those of the Gateway API and a gateway that obeys them"
    elif cluster.maybe(_GATEWAYS, asked.name, asked.namespace) is None:
        yield (
            f"{FAIL}  there is no Gateway {asked}: create it, or name another one with --gateway, and in"
            " spec.traffic.httpRoute.parentRefs"
        )
    elif not options.no_split:
        yield from doctor_split.tried(deployment, str(asked), doctor_split.http_routes(asked))


def _named_gateway(text: str) -> ParentRef:
    namespace, _, name = text.rpartition("/")
    if not namespace or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is no Gateway: write its namespace and name, such as infra/public")
    return ParentRef(name, namespace)
