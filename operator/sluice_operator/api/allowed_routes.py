"""Which hosts, IngressClasses and annotations a namespace may use, as the administrator has set it. Pure."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from sluice_operator.api.observation import Refusal
from sluice_operator.api.traffic import Ingress, Traffic

_NGINX = "nginx.ingress.kubernetes.io"
_OWN = ("sluice.dev/*", f"{_NGINX}/canary*")
_OWN_WITH_PATH = (f"{_NGINX}/rewrite-target", f"{_NGINX}/use-regex")
# Who issues the certificate of the host, and limits of the route itself: nothing that puts text into the gateway's
# configuration, and no other name, which could be somebody else's host.
DEFAULT_ANNOTATIONS = (
    *(f"cert-manager.io/{name}" for name in ("issuer", "issuer-kind", "issuer-group", "cluster-issuer")),
    *(f"cert-manager.io/{name}" for name in ("duration", "renew-before", "usages", "private-key-*")),
    "acme.cert-manager.io/http01-*",
    "external-dns.alpha.kubernetes.io/ttl",
    *(f"{_NGINX}/{name}" for name in ("ssl-redirect", "force-ssl-redirect", "proxy-body-size", "enable-cors")),
    *(f"{_NGINX}/proxy-{name}-timeout" for name in ("connect", "read", "send")),
    *(f"{_NGINX}/limit-{name}" for name in ("connections", "rps", "rpm")),
)
_ANNOTATIONS = "SLUICE_ALLOWED_INGRESS_ANNOTATIONS"
_HOSTS, _CLASSES = "SLUICE_ALLOWED_HOSTS", "SLUICE_ALLOWED_INGRESS_CLASSES"


@dataclass(frozen=True, slots=True)
class Allowed:
    """Namespaces with a name like `namespace` may use what is like `pattern`. In both, `*` stands for any text."""

    namespace: str
    pattern: str


@dataclass(frozen=True, slots=True)
class AllowedRoutes:
    """A list without entries allows everything to everybody; one with entries allows what they say, and no more."""

    hosts: tuple[Allowed, ...] = ()
    ingress_classes: tuple[Allowed, ...] = ()
    annotations: tuple[str, ...] = DEFAULT_ANNOTATIONS  # patterns, for all namespaces

    def admits(self, namespace: str, host: str) -> bool:
        """Whether an object in `namespace` may have this host, with whatever IngressClass."""
        return not self.hosts or any(fnmatchcase(host, pattern) for pattern in _patterns(self.hosts, namespace))

    def refusal(self, namespace: str, traffic: Traffic) -> Refusal | None:
        """Why an object in `namespace` may not have this route; None if it may."""
        asked = [(self.hosts, traffic.place.host, "HostNotAllowed", "host", _HOSTS)]
        if (ingress := traffic.ingress) is not None:
            classes = self.ingress_classes
            asked.append((classes, ingress.class_name, "IngressClassNotAllowed", "IngressClass", _CLASSES))
        for entries, value, reason, kind, setting in asked:
            patterns = _patterns(entries, namespace)
            if entries and not any(fnmatchcase(value, pattern) for pattern in patterns):
                may = f"it may use {', '.join(patterns)}" if patterns else "none is allowed there"
                remedy = f"write another one, or let the administrator add '{namespace}={value}' to {setting}"
                return Refusal(reason, f"namespace {namespace} may not use the {kind} {value} ({may}): {remedy}")
        return self._annotation_refusal(ingress, traffic.place.prefix) if ingress is not None else None

    def _annotation_refusal(self, ingress: Ingress, prefix: str) -> Refusal | None:
        """Some annotations change the configuration of the gateway for everybody, and Sluice has some of its own."""
        own = (*_OWN, *_OWN_WITH_PATH) if prefix else _OWN
        for name in sorted(ingress.annotations):
            if any(fnmatchcase(name, pattern) for pattern in own):
                remedy = "leave it out: Sluice sets it itself"
            elif any(fnmatchcase(name, pattern) for pattern in self.annotations):
                continue
            else:
                remedy = f"leave it out, or let the administrator add it to {_ANNOTATIONS}"
            return Refusal("IngressAnnotationNotAllowed", f"the Ingress may not have the annotation {name}: {remedy}")
        return None


def _patterns(entries: tuple[Allowed, ...], namespace: str) -> list[str]:
    return [entry.pattern for entry in entries if fnmatchcase(namespace, entry.namespace)]
