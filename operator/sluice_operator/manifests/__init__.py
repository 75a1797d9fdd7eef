"""The objects that a ModelDeployment should own, as whole manifests. Pure: they follow from spec and status."""
