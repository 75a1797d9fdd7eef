"""Values for the chart that can be installed, and those of its variants that differ in what is rendered."""

from __future__ import annotations

from typing import Any

SMALLEST: dict[str, Any] = {
    "images": {"registry": "registry.example/team"},
    "mlflow": {"url": "http://mlflow.mlflow.svc:5000"},
    "prometheus": {"url": "http://prometheus.monitoring.svc:9090"},
    "gateway": {"address": "http://traefik.traefik.svc"},
}
OBJECT_STORE = {
    "enabled": True,
    "replicas": 3,
    "filesUrl": "s3://models/sluice",
    "databaseSecret": "store-database",
    "envFrom": [{"secretRef": {"name": "store-bucket"}}],
}
MONITORING = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
EVERYWHERE = [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]
VARIANTS: dict[str, dict[str, Any]] = {
    "smallest": {},
    "namespaces": {"watch": {"namespaces": ["models", "others"]}},
    "its own namespace": {"watch": {"namespaces": ["sluice-system"]}},
    "labels": {"watch": {"namespaceLabels": {"sluice.dev/shard": "a", "tier": "gold"}}},
    "store on a volume": {"store": {"enabled": True}},
    "store on a claim of yours": {"store": {"enabled": True, "volume": {"existingClaim": "models"}}},
    "store with an object store": {"store": OBJECT_STORE},
    "store with a bucket and SQLite": {"store": {"enabled": True, "filesUrl": "s3://models"}},
    "service monitors": {
        "monitoring": {"kind": "ServiceMonitor", "labels": {"release": "prometheus"}},
        "alerts": {"kind": "PrometheusRule", "labels": {"release": "prometheus"}},
        "dashboards": {"enabled": True},
        "store": {"enabled": True},
    },
    "annotations": {
        "monitoring": {"kind": "Annotations"},
        "alerts": {"kind": "ConfigMap", "namespace": "others"},
        "store": {"enabled": True},
    },
    "network policies": {"networkPolicies": {"enabled": True}, "store": {"enabled": True}},
    "strict network policies": {
        "networkPolicies": {
            "enabled": True,
            "metricsFrom": MONITORING,
            "operatorTo": EVERYWHERE,
            "storeTo": EVERYWHERE,
        },
        "store": OBJECT_STORE,
        "watch": {"namespaces": ["models"]},
    },
    "roles for people": {"userRoles": {"enabled": True}},
    "web page": {"web": {"enabled": True, "replicas": 2}},
    "web page with network policies": {
        "networkPolicies": {"enabled": True, "webFrom": MONITORING, "webTo": EVERYWHERE},
        "watch": {"namespaces": ["models", "others"]},
        "web": {"enabled": True, "podLabels": {"team": "ml"}, "podAnnotations": {"sidecar": "none"}},
    },
    "pods of a strict cluster": {
        "images": {"registry": "registry.example/team", "pullSecrets": ["login"], "pullPolicy": "Always", "tag": "1"},
        "gateway": {"address": "https://gateway.gateway.svc", "caSecret": "gateway-ca"},
        "settings": {"SLUICE_WORKERS": 8, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://tempo:4318"},
        "operator": {
            "envFrom": [{"secretRef": {"name": "gateway-headers"}}],
            "volumes": [{"name": "otel", "secret": {"secretName": "otel-ca"}}],
            "volumeMounts": [{"name": "otel", "mountPath": "/etc/sluice/otel", "readOnly": True}],
            "podLabels": {"team": "ml"},
            "podAnnotations": {"sidecar": "none"},
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "ml", "operator": "Exists"}],
            "affinity": {"podAntiAffinity": {}},
            "priorityClassName": "system-cluster-critical",
        },
    },
}


def chosen(variant: str) -> dict[str, Any]:
    """The values of a variant, with the addresses that each install needs."""
    return {**SMALLEST, **VARIANTS[variant]}
