"""The paths of the pages. What a path may hold is checked by the routes of the server."""

NAME = r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"  # of an object of Kubernetes


def namespace(name: str) -> str:
    """All ModelDeployments of a namespace."""
    return f"/namespaces/{name}"


def model(of: str, name: str) -> str:
    """One ModelDeployment."""
    return f"{namespace(of)}/models/{name}"


def run(of: str, name: str, record: str) -> str:
    """A run that has ended, by the name of its record."""
    return f"{model(of, name)}/runs/{record}"
