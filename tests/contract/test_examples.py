"""examples/first_model.py, as a person runs it: a real MLflow, a training, a server, a prediction and its feedback."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from dev.api_server import ROOT
from dev.processes import free_ports
from tests.contract.conftest import PATIENCE


def test_the_first_model_goes_from_a_training_to_feedback(mlflow_server: str) -> None:
    """Each cell does what its text says, and the server is gone in the end."""
    port, gateway = free_ports(2)
    environment = os.environ | {
        "MLFLOW_TRACKING_URI": mlflow_server,
        "SLUICE_HOST": "127.0.0.1",
        "SLUICE_CLUSTER_PORT": str(port),
        "SLUICE_GATEWAY_PORT": str(gateway),
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, str(ROOT / "examples" / "first_model.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    told = r"registered models:/iris/(\d+)\nserved version (\d+)\npredicted \[.+\]\n(\d+) of (\d+) were right\n"
    ((version, served, right, counted),) = re.findall(told, done.stdout)
    assert served == version
    assert int(counted) == 20 >= int(right) > 15
    assert re.search(r'^ml_feedback_total\{.*entry="cluster".*\} 20\.0$', done.stdout, re.MULTILINE), done.stdout
