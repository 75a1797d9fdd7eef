"""The Open Inference Protocol: tensors as JSON and as bytes, for whole rows and column by column."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from sluice_server.http.dialects import tensors
from sluice_server.http.dialects.open_inference import OpenInferenceDialect
from sluice_server.http.dialects.port import Body
from sluice_server.inference.prediction import Prediction
from sluice_server.inference.rejection import Cause, Rejection
from sluice_server.inference.rows import RowReader
from sluice_server.model.identity import Identity
from sluice_server.model.schema import Column, Kind, Schema
from sluice_server.runtimes.output import Output
from tests.unit.growth import LINEAR, growth

NAMED = Schema((Column("a", Kind.NUMBER), Column("i", Kind.INTEGER), Column("t", Kind.BOOLEAN)))
NUMBERS = Schema((Column("0", Kind.NUMBER), Column("1", Kind.NUMBER)))
PREDICTION = Prediction(
    Output(np.array([0, 2]), np.array([[1.0, 0, 0], [0, 0.25, 0.75]]), np.array([0, 2])), [0, 2], "x"
)


def dialect(schema: Schema = NUMBERS, nullable: Sequence[bool] | None = None) -> OpenInferenceDialect:
    reader = RowReader(schema, 10)
    reader.allow_missing(nullable or [False] * len(schema.columns))
    return OpenInferenceDialect(reader, Identity("iris", "3", "abcdefghij"))


def tensor(data: Any, shape: list[int], name: str = "x", datatype: str = "FP64") -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


def in_bytes(array: Any, name: str = "x") -> tuple[dict[str, Any], bytes]:
    array = np.asarray(array)
    size = {"parameters": {"binary_data_size": array.nbytes}}
    return {"name": name, "shape": list(array.shape), "datatype": tensors.datatype(array), **size}, array.tobytes()


def parsed(reader: OpenInferenceDialect, inputs: list[Any], binary: bytes = b"", **fields: Any) -> Any:
    text = json.dumps({"inputs": inputs, **fields}).encode()
    return reader.parse(text + binary, "application/json", len(text) if binary else None)


def rows(reader: OpenInferenceDialect, inputs: list[Any], binary: bytes = b"") -> Any:
    found = parsed(reader, inputs, binary)
    assert not isinstance(found, Rejection), found
    return found.rows.tolist()


COLUMNS = [
    tensor([0.5, 1.5], [2], "a"),
    tensor([[2], [3]], [2, 1], "i", "INT32"),
    tensor([True, False], [2], "t", "BOOL"),
    tensor(["?", "?"], [2], "unknown", "BYTES"),
]


@pytest.mark.parametrize(
    "inputs",
    [
        [tensor([[1, 2], [3, 4]], [2, 2])],
        [tensor([1, 2, 3, 4], [2, 2])],
        [tensor([1, 3], [2], "0"), tensor([2, 4], [2], "1")],
    ],
)
def test_rows_are_one_tensor_or_one_for_each_column(inputs: list[Any]) -> None:
    """Values are nested or flat, as the protocol allows."""
    assert rows(dialect(), inputs) == [[1, 2], [3, 4]]


def test_columns_are_taken_by_their_names() -> None:
    """Each with its own type; those that the model does not know are ignored."""
    assert rows(dialect(NAMED), COLUMNS[::-1]) == [[0.5, 2, 1], [1.5, 3, 0]]


def test_a_single_tensor_is_the_column_of_its_name() -> None:
    """Of which there may be others that are optional; whole rows may be called as a column, too."""
    reader = dialect(Schema((Column("a", Kind.NUMBER), Column("b", Kind.NUMBER, required=False))), [False, True])
    for shape in ([2], [2, 1]):
        found = parsed(reader, [tensor([0.5, 1.5], shape, "a")])
        assert np.array_equal(found.rows, [[0.5, np.nan], [1.5, np.nan]], equal_nan=True)
    assert rows(reader, [tensor([1, 2, 3, 4], [2, 2], "a")]) == [[1, 2], [3, 4]]
    missing = parsed(dialect(NAMED), [tensor([0.5], [1], "a")])
    assert isinstance(missing, Rejection)
    assert "'i' is required" in missing.message


@pytest.mark.parametrize(("data", "shape"), [([1, 0], [2]), ([[1], [0]], [2, 1])])
def test_booleans_may_be_1_and_0_in_a_tensor_of_booleans(data: list[Any], shape: list[int]) -> None:
    """As clients write the bytes that numpy has of them; of another type they are numbers, and refused."""
    reader = dialect(Schema((Column("t", Kind.BOOLEAN),)))
    assert rows(reader, [tensor(data, shape, "t", "BOOL")]) == [[1], [0]]
    for refused in (tensor([1, 2], [2], "t", "BOOL"), tensor([1, 0], [2], "t", "INT64")):
        assert isinstance(parsed(reader, [refused]), Rejection)


def test_nan_is_no_json_and_null_is_what_to_send() -> None:
    """What Python's own json writes of it."""
    found = dialect().parse(b'{"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [NaN, 1]}]}')
    assert isinstance(found, Rejection)
    assert "send null where a value may be missing" in found.message


@pytest.mark.parametrize("kind", ["<f2", "<f4", "<f8", "<i1", "<i2", "<i4", "<i8", "<u1", "<u2", "<u4", "<u8"])
def test_bytes_behind_the_json_are_the_same_values(kind: str) -> None:
    """Of each type of number, in one tensor or in several."""
    whole, content = in_bytes(np.array([[1, 2], [3, 4]], kind))
    assert rows(dialect(), [whole], content) == [[1, 2], [3, 4]]
    first, second = (in_bytes(np.array(values, kind), name) for name, values in (("0", [1, 3]), ("1", [2, 4])))
    assert rows(dialect(), [first[0], second[0]], first[1] + second[1]) == [[1, 2], [3, 4]]
    mixed = [first[0], tensor([2, 4], [2], "1")]
    assert rows(dialect(), mixed, first[1]) == [[1, 2], [3, 4]]


TEXTS = Schema((Column("city", Kind.TEXT), Column("age", Kind.NUMBER)))


def test_text_is_in_the_json_or_in_bytes_with_lengths() -> None:
    """Both spellings are the same rows, beside numbers of another type."""
    ages, age_bytes = in_bytes([1.5, 2.5], "age")
    cities = tensor(["ulm", "köln"], [2], "city", "BYTES")
    assert rows(dialect(TEXTS), [cities, ages], age_bytes) == [["ulm", 1.5], ["köln", 2.5]]
    content = tensors.to_bytes(np.array(["ulm", "köln"]))
    in_binary = {"name": "city", "shape": [2, 1], "datatype": "BYTES", "parameters": {"binary_data_size": len(content)}}
    assert rows(dialect(TEXTS), [in_binary, ages], content + age_bytes) == [["ulm", 1.5], ["köln", 2.5]]


@pytest.mark.parametrize("datatype", ["FP64", "BYTES"])
@pytest.mark.parametrize("where", [{"parameters": {"binary_data_size": 0}}, {"data": []}], ids=["bytes", "json"])
def test_rows_without_values_are_not_made(datatype: str, where: Any) -> None:
    """A shape of a few digits would be millions of rows."""
    found = parsed(dialect(TEXTS), [{"name": "x", "shape": [10**12, 0], "datatype": datatype, **where}])
    assert isinstance(found, Rejection)
    assert "rows without values" in found.message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x03\0\0\0ulm", "not 2 texts"),
        (b"\x03\0\0\0ulm\xff\xff\xff\xffk", "not 2 texts"),
        (b"\x03\0\0\0ulm\x01\0\0\0kk", "not 2 texts"),
        (b"\x03\0\0\0ulm\x01\0\0\0k\0\0", "not 2 texts"),
        (b"\x03\0\0\0ulm\x01\0\0\0\xff", "not UTF-8"),
    ],
)
def test_bytes_that_are_no_texts_are_told(content: bytes, words: str) -> None:
    """Lengths that lead beyond the end, too few, too many, and other encodings."""
    texts = {"name": "city", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": len(content)}}
    found = parsed(dialect(TEXTS), [texts], content)
    assert isinstance(found, Rejection)
    assert words in found.message


def test_booleans_in_bytes_are_booleans() -> None:
    """And numbers are none."""
    flags = in_bytes(np.array([True, False]), "t")
    assert rows(dialect(NAMED), [*COLUMNS[:2], flags[0]], flags[1]) == [[0.5, 2, 1], [1.5, 3, 0]]
    numbers = in_bytes(np.array([1, 0], "<i1"), "t")
    assert isinstance(parsed(dialect(NAMED), [*COLUMNS[:2], numbers[0]], numbers[1]), Rejection)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([tensor([1, 2, 3], [2, 2])], "x: 3 values came, and the shape [2, 2] needs 4"),
        ([tensor([[1, 2], [3]], [2, 2])], "x: the data does not have the shape"),
        ([tensor([[1, 2], 3], [2, 2])], "x: the data does not have the shape"),
        ([tensor([1], [1, 1, 1])], "x: the shape [1, 1, 1] is none of 1 to 2 sizes"),
        ([tensor([1], [-1])], "x: the shape [-1]"),
        ([tensor([1], [])], "x: the shape []"),
        ([tensor(None, [1, 2])], "x: there is neither data nor binary_data_size"),
        ([tensor([[1, 2, 3]], [1, 3])], "x[0]: a row needs 2 values"),
        ([tensor([[1, "2"]], [1, 2], "x", "BYTES")], "x[0][1]: '1' needs a number"),
        ([tensor([1], [1], "0"), tensor([1], [1], "2")], "1: the column '1'"),
        ([tensor([1, 2], [2], "0"), tensor([1], [1], "1")], "1: 1 values, but '0' has 2"),
        ([], "0: the column '0' is required"),
        ([{"name": "x"}], "missing required field"),
        ([tensor([[0.5, 1e39]], [1, 2])], "x[0][1]: '1' is beyond"),
        ([tensor([[None, 1]], [1, 2])], "x[0][0]: '0' needs a number, not null"),
    ],
)
def test_what_does_not_fit_is_a_400_with_its_place(inputs: list[Any], words: str) -> None:
    """In the protocol's shape: an object with `error`."""
    reader = dialect()
    found = parsed(reader, inputs)
    assert isinstance(found, Rejection)
    assert reader.status[found.cause] == 400
    assert json.loads(reader.write_rejection(found))["error"].startswith(words) or words in found.message


@pytest.mark.parametrize(
    ("size", "content", "words"),
    [
        (16, b"\0" * 8, "8 bytes came"),
        (16, b"\0" * 24, "24 bytes are behind the JSON, and the inputs have 16"),
        (8, b"\0" * 8, "needs 16"),
        (2**70, b"\0" * 16, "bytes are behind the JSON"),
        (True, b"\0" * 16, "neither data nor"),
        (-16, b"\0" * 16, "neither data nor"),
    ],
)
def test_bytes_that_do_not_fit_are_told(size: Any, content: bytes, words: str) -> None:
    """Nothing is read beyond them."""
    whole = {"name": "x", "shape": [1, 2], "datatype": "FP64", "parameters": {"binary_data_size": size}}
    found = parsed(dialect(), [whole], content)
    assert isinstance(found, Rejection)
    assert words in found.message


def test_an_input_that_comes_twice_is_refused() -> None:
    """Nobody can tell which of the two is meant."""
    found = parsed(dialect(), [tensor([1], [1], "0"), tensor([2], [1], "1"), tensor([3], [1], "0")])
    assert isinstance(found, Rejection)
    assert found.message == "0: two inputs have this name"


def test_other_bodies_are_told_what_is_wrong() -> None:
    """Not JSON, not UTF-8, too many lists, and an output that there is not."""
    for content, words in ((b"{", "not JSON"), (b'{"id": "\xff"}', "UTF-8"), (b"[]", "Expected `object`")):
        found = dialect().parse(content)
        assert isinstance(found, Rejection)
        assert words in found.message
    large = dialect().parse(b'{"inputs": [' + b",".join([b"[]"] * 2_000) + b"]}")
    assert isinstance(large, Rejection)
    assert dialect().status[large.cause] == 413
    other = parsed(dialect(), [tensor([1, 2], [1, 2])], outputs=[{"name": "classes"}])
    assert isinstance(other, Rejection)
    assert "no output 'classes', only predictions and probabilities" in other.message


def written(prediction: Prediction = PREDICTION, **fields: Any) -> tuple[Body, dict[str, Any]]:
    reader = dialect()
    body = reader.write(prediction, parsed(reader, [tensor([1, 2], [1, 2])], **fields).echo)
    ((_, size),) = body.headers or ((b"", str(len(body.content)).encode()),)
    return body, json.loads(body.content[: int(size)])


def test_a_response_has_all_outputs_and_repeats_the_id() -> None:
    """Flat, with their shapes; the id for feedback is a parameter."""
    body, answer = written(id="seven")
    assert (body.content_type, body.headers) == (b"application/json", ())
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("iris", "3", "seven")
    assert answer["parameters"] == {"prediction_id": "x"}
    assert answer["outputs"] == [
        {"name": "predictions", "shape": [2], "datatype": "INT64", "data": [0, 2]},
        {"name": "probabilities", "shape": [2, 3], "datatype": "FP64", "data": [1, 0, 0, 0, 0.25, 0.75]},
    ]
    assert "id" not in written()[1]


def test_only_the_outputs_that_are_wanted_are_there() -> None:
    """A model without probabilities has none, whoever wants them."""
    wanted = [{"name": "probabilities"}]
    assert [output["name"] for output in written(outputs=wanted)[1]["outputs"]] == ["probabilities"]
    regression = Prediction(Output(np.array([1.5]), None, None), [], None)
    assert written(regression, outputs=wanted)[1]["outputs"] == []


@pytest.mark.parametrize(
    "fields",
    [
        {"parameters": {"binary_data_output": True}},
        {"outputs": [{"name": name, "parameters": {"binary_data": True}} for name in ("predictions", "probabilities")]},
    ],
)
def test_outputs_can_be_bytes_behind_the_json(fields: dict[str, Any]) -> None:
    """The header says where they begin."""
    body, answer = written(**fields)
    ((name, size),) = body.headers
    assert (name, body.content_type) == (b"inference-header-content-length", b"application/octet-stream")
    sizes = [output["parameters"]["binary_data_size"] for output in answer["outputs"]]
    assert sizes == [16, 48]
    binary = body.content[int(size) :]
    assert np.frombuffer(binary[:16], "<i8").tolist() == [0, 2]
    assert np.frombuffer(binary[16:], "<f8").tolist() == [1, 0, 0, 0, 0.25, 0.75]


def test_labels_that_are_text_are_bytes_with_their_length() -> None:
    """As the protocol writes BYTES."""
    flowers = Prediction(Output(np.array(["rose", "tülip"]), None, None), [0, 1], None)
    body, answer = written(flowers, parameters={"binary_data_output": True})
    size = len(msgspec.json.encode(answer))
    assert answer["outputs"][0]["datatype"] == "BYTES"
    assert body.content[size:] == b"\x04\0\0\0rose\x06\0\0\0t\xc3\xbclip"
    assert written(flowers)[1]["outputs"][0]["data"] == ["rose", "tülip"]


def test_a_request_that_contradicts_itself_is_refused() -> None:
    """A fraction among whole numbers, and more JSON than there is: somebody made a mistake, and should know."""
    refused = parsed(dialect(), [tensor([[1, 1.5]], [1, 2], datatype="INT64")])
    assert isinstance(refused, Rejection)
    assert refused.message == "x: 1.5 is no INT64: send whole numbers, or the datatype FP64"
    assert rows(dialect(), [tensor([[1, 2.0]], [1, 2], datatype="UINT8")]) == [[1, 2]]
    longer = dialect().parse(b"{}", "application/octet-stream", 99)
    assert isinstance(longer, Rejection)
    assert longer.message == "inference-header-content-length is 99, and the body has 2 bytes"


@pytest.mark.parametrize("data", [None, [1] * 40_000])
def test_what_is_too_large_is_refused_by_its_shape(data: list[int] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its values are never made: they would take a hundred times the memory of the body."""

    def never(*_: Any) -> Any:
        raise AssertionError("its values were made")

    monkeypatch.setattr(tensors, "values", never)
    content = b"" if data else bytes(40_000)
    size = {"data": data} if data else {"parameters": {"binary_data_size": len(content)}}
    for shape, words in (([40_000, 1], "10 is the limit"), ([1, 40_000], "more values in a row than the model has")):
        refused = parsed(dialect(), [{"name": "x", "shape": shape, "datatype": "INT8", **size}], content)
        assert isinstance(refused, Rejection)
        assert words in refused.message


def test_a_shape_of_many_sizes_takes_no_more_time_than_it_has_length() -> None:
    """The product of 20,000 sizes took 0.7 s, and four times as long for twice as many."""
    reader = dialect()

    def refuse(length: int) -> object:
        found = parsed(reader, [tensor([1], [1] + [2**63 - 1] * length)])
        assert isinstance(found, Rejection)
        return found

    assert growth(refuse) < LINEAR
    assert refuse(100) == Rejection(
        Cause.INVALID,
        "x: the shape [1, 9223372036854775807, 9223372036854775807, 9223372036854775807, ... of 101 sizes] is none of "
        "1 to 2 sizes",
        (),
        "value_error",
    )


def test_an_input_that_the_model_does_not_know_is_not_looked_at() -> None:
    """However long it is."""
    known, content = in_bytes(np.array([[1.0], [2.0]]), "0")
    second, more = in_bytes(np.array([3.0, 4.0]), "1")
    unknown, others = in_bytes(np.ones((10, 2)), "more")
    assert rows(dialect(), [known, unknown, second], content + others + more) == [[1, 3], [2, 4]]
