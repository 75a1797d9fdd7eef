"""A real API server without a cluster: kube-apiserver and etcd on loopback, in one folder, without nodes.

The contract tests and the benchmark of the fleet use it. The programs are those of the local cluster, or those in
KUBEBUILDER_ASSETS if that is set.
"""

import os
import secrets
import subprocess
from pathlib import Path

import yaml

from dev import programs

ROOT = Path(__file__).parents[1]
_AUDIT_POLICY = ROOT / "dev" / "cluster" / "templates" / "audit.yaml"
_PROGRAMS = ("etcd", "kube-apiserver", "kubectl")


def find_programs() -> dict[str, str]:
    """Path of each program, by name. Raises FileNotFoundError with the command that builds them."""
    return programs.find_programs(_PROGRAMS, os.environ.get("KUBEBUILDER_ASSETS"))


def etcd_command(program: str, folder: Path, port: int, peer_port: int) -> list[str]:
    url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    return [
        program,
        f"--data-dir={folder}/etcd",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        "--unsafe-no-fsync",
    ]


def apiserver_command(program: str, folder: Path, port: int, etcd_port: int) -> list[str]:
    """Makes its own certificate for TLS; the token file has its users. audit.log gets what service accounts ask for."""
    return [
        program,
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder}/certificates",
        f"--token-auth-file={folder}/tokens.csv",
        "--authorization-mode=RBAC",
        f"--service-account-key-file={folder}/service-accounts.key",
        f"--service-account-signing-key-file={folder}/service-accounts.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.0.0.0/24",
        f"--audit-policy-file={_AUDIT_POLICY}",
        f"--audit-log-path={folder}/audit.log",
    ]


def write_credentials(folder: Path, port: int, *users: str) -> list[Path]:
    """The key of service account tokens, a token of each user, and the kubeconfigs that hold these. All may do all."""
    key = folder / "service-accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    tokens = {user: secrets.token_hex(16) for user in users}
    lines = [f'{token},{user},{user},"system:masters"\n' for user, token in tokens.items()]
    (folder / "tokens.csv").write_text("".join(lines))
    return [_kubeconfig(folder, port, user, token) for user, token in tokens.items()]


def _kubeconfig(folder: Path, port: int, user: str, token: str) -> Path:
    server = {"server": f"https://127.0.0.1:{port}", "certificate-authority": f"{folder}/certificates/apiserver.crt"}
    kubeconfig = folder / f"{user}.kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "test", "cluster": server}],
                "users": [{"name": user, "user": {"token": token}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
                "current-context": "test",
            }
        )
    )
    return kubeconfig
