"""Whatever a client sends, the answer is no 5xx: that would count against the model."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.unit.sluice_server.conftest import Client

NAMES = ["sepal length", "sepal width", "petal length", "petal width"]
FIELDS = [
    *("features", "dataframe_split", "dataframe_records", "instances", "inputs", "outputs", "params", "parameters"),
    *("columns", "data", "index", "name", "shape", "datatype", "id", "binary_data_size", "binary_data_output"),
    *("prediction_id", "label", "labels"),
]
PATHS = ["/predict", "/invocations", "/v2/models/iris/infer", "/feedback"]
TYPES = ["application/json", "text/csv", "application/octet-stream", "application/vnd.api+json; charset=x", "", "\xff"]

numbers = st.one_of(st.integers(-(2**70), 2**70), st.floats(), st.sampled_from([0, 1, 4, -1, 2.5]))
scalars = st.one_of(st.none(), st.booleans(), numbers, st.sampled_from([*NAMES, "FP64", "BYTES", "x", "predictions"]))
keys = st.sampled_from(FIELDS + NAMES)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(keys, inner, max_size=4), st.lists(numbers, min_size=4, max_size=4)
    ),
    max_leaves=25,
)
tensors = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["x", *NAMES]),
        "shape": st.lists(st.integers(-2, 5) | st.just(2**62), max_size=3),
        "datatype": st.sampled_from(["FP64", "FP32", "INT8", "BOOL", "BYTES", "?"]),
    },
    optional={"data": values, "parameters": st.dictionaries(st.just("binary_data_size"), numbers | st.booleans())},
)


@st.composite
def with_bytes(draw: st.DrawFn) -> tuple[bytes, int]:
    """Tensors with bytes behind the JSON, as many as they say or not; and how much of the body is JSON."""
    sent = draw(st.lists(st.tuples(tensors, st.binary(max_size=64), st.integers(-1, 1)), min_size=1, max_size=4))
    for tensor, content, wrong in sent:
        tensor.pop("data", None)
        tensor["parameters"] = {"binary_data_size": len(content) + wrong * draw(st.sampled_from([0, 0, 1, 2**31]))}
    text = json.dumps({"inputs": [tensor for tensor, _, _ in sent]}).encode()
    return b"".join([text, *(content for _, content, _ in sent)]), len(text)


bodies = st.one_of(
    st.binary(max_size=200),
    values.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(keys, values, max_size=3).map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries({"inputs": st.lists(tensors, max_size=5)}, optional={"outputs": values}).map(
        lambda value: json.dumps(value).encode()
    ),
    st.text('a,"\n\r 1.e-', max_size=60).map(lambda text: (",".join(NAMES) + "\n" + text).encode()),
)


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_a_server_error(client: Client, path: str) -> None:
    """Bytes, JSON of any shape, tensors that are not as they say, lengths that are none."""

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(bodies, st.sampled_from(TYPES), st.none() | st.integers(-5, 300).map(str) | st.just("x"))
    def fuzz(body: bytes, content_type: str, length: Any) -> None:
        headers = {"content-type": content_type.encode("latin-1")}
        if length is not None:
            headers["inference-header-content-length"] = length.encode()
        answer = client.post(path, content=body, headers=headers)
        assert answer.status_code < 500, (answer.status_code, answer.text)
        answer.json()

    fuzz()
    assert client.value("ml_requests_total", code="500") == 0


def test_bytes_behind_the_json_are_no_server_error(client: Client) -> None:
    """Tensors of every type whose bytes are too few, too many or no text, and a length of the JSON that is none."""

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(with_bytes(), st.sampled_from([0, 0, 0, 1, -1, 1000]))
    def fuzz(body: tuple[bytes, int], wrong: int) -> None:
        content, length = body
        headers = {"content-type": "application/octet-stream", "inference-header-content-length": str(length + wrong)}
        answer = client.post("/v2/models/iris/infer", content=content, headers=headers)
        assert answer.status_code < 500, (answer.status_code, answer.text)

    fuzz()
    assert client.value("ml_requests_total", code="500") == 0


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "x", "gzip, identity"])
def test_a_compressed_body_is_refused_and_not_unpacked(client: Client, path: str, encoding: str) -> None:
    """However small it is, and however large it would become."""
    headers = {"content-type": "application/json", "content-encoding": encoding}
    answer = client.post(path, content=gzip.compress(b"[" * 100_000), headers=headers)
    assert answer.status_code == 415, answer.text
