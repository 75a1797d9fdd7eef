"""What the cluster should hold of one object, as whole manifests. Pure: a function of spec and status."""
