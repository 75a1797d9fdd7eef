"""Which hosts and IngressClasses a namespace may use."""

from __future__ import annotations

import pytest

from sluice_operator.api.allowed_routes import Allowed, AllowedRoutes
from sluice_operator.api.observation import Refusal
from sluice_operator.api.traffic import Ingress, Traffic

ROUTES = AllowedRoutes(
    hosts=(
        Allowed("team-a", "*.team-a.example.com"),
        Allowed("team-a", "shop.example.com"),
        Allowed("team-*", "*.models.example.com"),
    ),
    ingress_classes=(Allowed("*", "nginx-internal"), Allowed("team-a", "nginx-public")),
)


def refusal(namespace: str, host: str, class_name: str = "nginx-internal", of: AllowedRoutes = ROUTES) -> Refusal:
    return of.refusal(namespace, Traffic(Ingress(class_name, host))) or Refusal("", "")


@pytest.mark.parametrize(
    ("namespace", "host", "class_name"),
    [
        ("team-a", "iris.team-a.example.com", "nginx-internal"),
        ("team-a", "a.b.team-a.example.com", "nginx-internal"),
        ("team-a", "shop.example.com", "nginx-public"),
        ("team-b", "iris.models.example.com", "nginx-internal"),
    ],
)
def test_what_an_entry_allows_may_be_used(namespace: str, host: str, class_name: str) -> None:
    """One that matches is enough; in both parts `*` stands for any text."""
    assert refusal(namespace, host, class_name).reason == ""


@pytest.mark.parametrize(
    ("namespace", "host"),
    [
        ("team-b", "iris.team-a.example.com"),
        ("team-a", "team-a.example.com"),
        ("team-a", "shopXexample.com"),
        ("team-a", "iris.team-a.example.com.evil.example"),
        ("steam-a", "iris.models.example.com"),
        ("team-a2", "shop.example.com"),
        ("others", "anything.example.com"),
    ],
)
def test_what_no_entry_allows_may_not_be_used(namespace: str, host: str) -> None:
    """A pattern is the whole name, and a dot is a dot. A namespace without an entry may use nothing."""
    assert refusal(namespace, host).reason == "HostNotAllowed"


def test_a_list_without_entries_allows_everything() -> None:
    """As without the setting; each of the two lists is for itself."""
    assert refusal("others", "anything.example.com", "any", AllowedRoutes()).reason == ""
    hosts = AllowedRoutes(hosts=ROUTES.hosts)
    assert refusal("team-b", "iris.models.example.com", "any", hosts).reason == ""


def test_a_refusal_says_what_is_allowed_and_what_to_ask_for() -> None:
    """The person paged may be neither the administrator nor know the settings."""
    assert refusal("team-a", "iris.example.com").message == (
        "namespace team-a may not use the host iris.example.com (it may use *.team-a.example.com, shop.example.com,"
        " *.models.example.com): write another one, or let the administrator add 'team-a=iris.example.com' to"
        " SLUICE_ALLOWED_HOSTS"
    )
    assert refusal("others", "iris.example.com").message == (
        "namespace others may not use the host iris.example.com (none is allowed there): write another one, or let the"
        " administrator add 'others=iris.example.com' to SLUICE_ALLOWED_HOSTS"
    )
    refused = refusal("team-b", "iris.models.example.com", "nginx-public")
    assert (refused.reason, refused.message) == (
        "IngressClassNotAllowed",
        "namespace team-b may not use the IngressClass nginx-public (it may use nginx-internal): write another one, or"
        " let the administrator add 'team-b=nginx-public' to SLUICE_ALLOWED_INGRESS_CLASSES",
    )


def annotation_refusal(name: str, of: AllowedRoutes = ROUTES) -> Refusal:
    ingress = Ingress("nginx-internal", "shop.example.com", annotations={"cert-manager.io/issuer": "x", name: "y"})
    return of.refusal("team-a", Traffic(ingress)) or Refusal("", "")


@pytest.mark.parametrize(
    "name",
    [
        "cert-manager.io/cluster-issuer",
        "external-dns.alpha.kubernetes.io/ttl",
        "nginx.ingress.kubernetes.io/proxy-body-size",
        "nginx.ingress.kubernetes.io/proxy-read-timeout",
    ],
)
def test_annotations_of_certificates_names_and_limits_may_be_used(name: str) -> None:
    """By default, in all namespaces."""
    assert annotation_refusal(name).reason == ""


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("nginx.ingress.kubernetes.io/configuration-snippet", "let the administrator add it to SLUICE_ALLOWED_INGRESS"),
        ("external-dns.alpha.kubernetes.io/hostname", "let the administrator add it to SLUICE_ALLOWED_INGRESS"),
        ("external-dns.alpha.kubernetes.io/target", "let the administrator add it to SLUICE_ALLOWED_INGRESS"),
        ("cert-manager.io/alt-names", "let the administrator add it to SLUICE_ALLOWED_INGRESS"),
        ("nginx.ingress.kubernetes.io/auth-url", "let the administrator add it to SLUICE_ALLOWED_INGRESS_ANNOTATIONS"),
        ("nginx.ingress.kubernetes.io/canary-weight", "leave it out: Sluice sets it itself"),
        ("sluice.dev/annotations", "leave it out: Sluice sets it itself"),
    ],
)
def test_annotations_that_could_change_the_gateway_for_others_may_not(name: str, remedy: str) -> None:
    """The operator writes the Ingress, so its rights would be lent to whoever writes a ModelDeployment."""
    refused = annotation_refusal(name)
    assert (refused.reason, remedy in refused.message) == ("IngressAnnotationNotAllowed", True)


def test_with_a_path_the_annotations_that_take_it_off_are_sluice_s_own() -> None:
    """Without one, the administrator may allow them: then a model server gets other paths than callers ask for."""
    name = "nginx.ingress.kubernetes.io/rewrite-target"
    everything = AllowedRoutes(annotations=("*",))
    for path, says in (("/", ""), ("/iris", f"the Ingress may not have the annotation {name}: leave it out")):
        refused = everything.refusal("a", Traffic(Ingress("nginx", "h", path, annotations={name: "/$1"})))
        assert (refused.message if refused else "").startswith(says)
        assert (refused is None) is (says == "")


def test_a_list_of_annotations_takes_the_place_of_the_default_one() -> None:
    """But for those of Sluice, which nobody may set."""
    everything = AllowedRoutes(annotations=("*",))
    assert annotation_refusal("nginx.ingress.kubernetes.io/auth-url", everything).reason == ""
    assert annotation_refusal("nginx.ingress.kubernetes.io/canary", everything).reason == "IngressAnnotationNotAllowed"
    assert annotation_refusal("example.com/x", AllowedRoutes(annotations=())).reason == "IngressAnnotationNotAllowed"
