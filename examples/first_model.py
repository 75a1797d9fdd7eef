# %% [markdown]
# # From a training to feedback
# A first model, without Kubernetes: train it, serve it, ask it, and tell it what was right. Needs this package
# (`pip install '.[trainer,server]'`) and an MLflow that `MLFLOW_TRACKING_URI` names: `mlflow server --port 5000`.
# Jupyter (with Jupytext), VS Code and PyCharm open this file as a notebook; `python examples/first_model.py` runs it.

# %%
import atexit
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests
from sklearn.datasets import load_iris

URL = f"http://127.0.0.1:{os.environ.get('SLUICE_CLUSTER_PORT', '8080')}"

# %% [markdown]
# ## Train and register
# The last line of the trainer is the URI of the new version. MLflow has its parameters, metrics and files.

# %%
train = [sys.executable, "-m", "sluice_trainer", "train", "--name", "iris", "--alias", "champion"]
uri = subprocess.run(train, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1]
print("registered", uri)

# %% [markdown]
# ## Serve
# The server fetches the version and checks it before it loads anything. With the key it signs the ids of predictions,
# so that only labels for its own predictions count.

# %%
folder = Path(tempfile.mkdtemp())
(folder / "key").write_bytes(os.urandom(32))
settings = {
    "MODEL_URI": uri,
    "SLUICE_MODEL_DIR": str(folder / "model"),
    "SLUICE_FEEDBACK_KEY_FILE": str(folder / "key"),
    "SLUICE_DRAIN_DELAY": "0",
}
server = subprocess.Popen([sys.executable, "-m", "sluice_server", "run"], env={**os.environ, **settings})
atexit.register(server.terminate)


def is_ready() -> bool:
    try:
        return requests.get(f"{URL}/health/ready", timeout=5).ok
    except requests.ConnectionError:
        return False


while not is_ready():
    if server.poll() is not None:
        raise SystemExit("the server has ended: its log above says why")
    time.sleep(0.2)
print("served version", requests.get(f"{URL}/metadata", timeout=5).json()["model"]["version"])

# %% [markdown]
# ## Ask
# Twenty flowers in one request. The id of the answer names it for the feedback.

# %%
flowers = load_iris(as_frame=True).frame.sample(20, random_state=7)
features = flowers.drop(columns="target").to_numpy().tolist()
answer = requests.post(f"{URL}/predict", json={"features": features}, timeout=5).json()
print("predicted", answer["predictions"])

# %% [markdown]
# ## Feedback
# The true classes, as they come to be known. The model has seen most of these flowers in its training, so it is right
# more often than it would be with new ones.

# %%
labels = {"prediction_id": answer["prediction_id"], "labels": flowers["target"].tolist()}
counted = requests.post(f"{URL}/feedback", json=labels, timeout=5).json()
print(f"{counted['correct']} of {counted['counted']} were right")

# %% [markdown]
# Prometheus reads the same from the server. A rollout compares these counts of two versions.

# %%
metrics = requests.get(f"{URL}/metrics", timeout=5).text
print(*re.findall(r"^ml_feedback\w*_total\{.*\} [1-9].*$", metrics, re.MULTILINE), sep="\n")

# %%
server.terminate()
server.wait()
