"""Clients that others wrote, with a real server process: MLflow's, Triton's, and curl."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from sklearn.datasets import load_iris
from tritonclient.utils import InferenceServerException

from tests.contract.served import PATIENCE, Served, serving
from tests.contract.test_server_process import model_dir
from tests.unit.sluice_server.visits import LABELS, TABLE, save_visits

__all__ = ["model_dir"]


@pytest.fixture(scope="module")
def flowers(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model of one tensor of numbers, which nobody has named."""
    with serving(model_dir, tmp_path_factory.mktemp("flowers")) as process:
        yield process


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model of a table with every type of column."""
    folder = tmp_path_factory.mktemp("visits")
    with serving(save_visits(folder / "model"), folder, SLUICE_MODEL_NAME="visits") as process:
        yield process


def mlflow_client(served: Served) -> Any:
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient  # noqa: PLC0415 - warns when it is imported

    host, port = served.gateway.removeprefix("http://").split(":")
    client = ScoringServerClient(host, int(port))
    client.wait_server_ready(timeout=PATIENCE)
    return client


def triton_client(served: Served) -> Any:
    return triton.InferenceServerClient(served.gateway.removeprefix("http://"))


@pytest.mark.filterwarnings("ignore")  # MLflow and pandas warn about each other
def test_mlflow_s_own_client_gets_predictions(flowers: Served) -> None:
    """A table, also with a value that is missing, for which it sends NaN; a matrix; lists."""
    import mlflow  # noqa: PLC0415

    client = mlflow_client(flowers)
    table = load_iris(as_frame=True).data.iloc[[0, 60, 149]]
    assert client.invoke(table).get_predictions()[0].tolist() == [0, 1, 2]
    assert client.invoke(table.to_numpy()).get_predictions("ndarray").tolist() == [0, 1, 2]
    assert client.invoke(table.to_numpy().tolist()).get_predictions()[0].tolist() == [0, 1, 2]
    table.iloc[0, 1] = None
    assert client.invoke(table).get_predictions()[0].tolist() == [0, 1, 2]
    assert client.get_version() == mlflow.__version__


@pytest.mark.filterwarnings("ignore")  # MLflow and pandas warn about each other
def test_mlflow_s_own_client_sends_every_type(visits: Served) -> None:
    """Text, whole numbers, booleans, a missing number and dates of a table as pandas has it."""
    assert mlflow_client(visits).invoke(TABLE).get_predictions()[0].tolist() == LABELS


@pytest.mark.filterwarnings("ignore")  # MLflow and pandas warn about each other
def test_mlflow_s_own_client_shows_why_a_table_is_refused(visits: Served) -> None:
    """With the place of the value."""
    with pytest.raises(Exception, match=r"error code 400.*dataframe_split\.data\[0\]\[1\]: 'visits' needs a whole"):
        mlflow_client(visits).invoke(TABLE.assign(visits=2.9))


@pytest.mark.parametrize("as_bytes", [True, False])
def test_triton_s_client_gets_predictions(flowers: Served, as_bytes: bool) -> None:
    """It speaks the Open Inference Protocol, by default with bytes behind the JSON."""
    with triton_client(flowers) as client:
        assert (client.is_server_live(), client.is_server_ready(), client.is_model_ready("iris", "3")) == (True,) * 3
        (described,) = client.get_model_metadata("iris")["inputs"]
        rows = load_iris().data[[0, 60, 149]]
        given = triton.InferInput(described["name"], list(rows.shape), described["datatype"])
        given.set_data_from_numpy(rows, binary_data=as_bytes)
        wanted = [triton.InferRequestedOutput(name, binary_data=as_bytes) for name in ("predictions", "probabilities")]
        answer = client.infer("iris", [given], outputs=wanted, request_id="seven")
        assert (answer.as_numpy("predictions").tolist(), answer.get_response()["id"]) == ([0, 1, 2], "seven")
        assert answer.as_numpy("probabilities").shape == (3, 3)


@pytest.mark.parametrize("as_bytes", [True, False])
def test_triton_s_client_sends_every_type(visits: Served, as_bytes: bool) -> None:
    """One tensor for each column, as the model's description asks for them, and text that comes back."""
    arrays = {
        "city": TABLE.city.to_numpy(dtype=object),
        "visits": TABLE.visits.to_numpy(dtype=np.int64),
        "member": TABLE.member.to_numpy(dtype=bool),
        "age": TABLE.age.fillna(30.0).to_numpy(dtype=np.float64),
        "since": np.array([at.isoformat() for at in TABLE.since], dtype=object),
    }
    with triton_client(visits) as client:
        described = client.get_model_metadata("visits", "3")
        given = []
        for tensor in described["inputs"]:
            values = arrays[tensor["name"]]
            given.append(triton.InferInput(tensor["name"], list(values.shape), tensor["datatype"]))
            given[-1].set_data_from_numpy(values, binary_data=as_bytes)
        wanted = [triton.InferRequestedOutput(each["name"], binary_data=as_bytes) for each in described["outputs"]]
        answer = client.infer("visits", given, "3", outputs=wanted)
        found = [each.decode() if isinstance(each, bytes) else each for each in answer.as_numpy("predictions")]
        assert found == LABELS
        assert {each["name"]: each["datatype"] for each in described["outputs"]} == {
            "predictions": "BYTES",
            "probabilities": "FP64",
        }
        assert answer.as_numpy("probabilities").shape == (len(LABELS), 2)


def test_triton_s_client_reads_descriptions_and_errors(flowers: Served) -> None:
    """What the server and the model are; and why another model, another version or a wrong shape gets no answer."""
    with triton_client(flowers) as client:
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        assert client.get_model_metadata("iris")["versions"] == ["3"]
        assert not client.is_model_ready("iris", "4")
        assert not client.is_model_ready("rose")
        given = triton.InferInput("input-0", [1, 4], "FP64")
        given.set_data_from_numpy(np.zeros((1, 4)))
        with pytest.raises(InferenceServerException, match="there is no model 'rose'"):
            client.infer("rose", [given])
        with pytest.raises(InferenceServerException, match="there is no model 'iris' of version '4'"):
            client.infer("iris", [given], "4")
        narrow = triton.InferInput("input-0", [1, 3], "FP64")
        narrow.set_data_from_numpy(np.zeros((1, 3)))
        with pytest.raises(InferenceServerException, match="a row needs 4 values"):
            client.infer("iris", [narrow])
        with pytest.raises(InferenceServerException, match="no content-encoding"):
            client.infer("iris", [given], request_compression_algorithm="gzip")


def curl(url: str, *arguments: str, stdin: str = "") -> tuple[int, str]:
    """The status and the body."""
    command = ["curl", "--silent", "--noproxy", "*", "--write-out", "\n%{http_code}", *arguments, url]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=True, timeout=PATIENCE)
    body, _, status = done.stdout.rpartition("\n")
    return int(status), body


def test_curl_sends_a_table_as_csv(visits: Served) -> None:
    """As pandas writes it, of every type, with a value that is missing; also in chunks of no known length."""
    text = TABLE.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%S")
    url, kind = f"{visits.gateway}/invocations", ("--header", "content-type: text/csv; charset=utf-8")
    for more in ((), ("--header", "transfer-encoding: chunked"), ("--header", "expect: 100-continue")):
        status, body = curl(url, *kind, *more, "--data-binary", "@-", stdin=text)
        assert (status, json.loads(body)["predictions"]) == (200, LABELS)
    status, body = curl(url, *kind, "--data-binary", "@-", stdin=text.replace(",7,", ",7.5,"))
    assert (status, json.loads(body)["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "visits" in json.loads(body)["message"]
