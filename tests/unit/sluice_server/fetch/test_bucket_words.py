"""Where a bucket is, and what is told of an answer of S3, or of none."""

from __future__ import annotations

import pytest

from sluice_server.fetch import bucket_words
from sluice_server.fetch.bucket_words import BucketError, BucketLoginError
from tests.unit.growth import LINEAR, growth

AT = "Generic S3 error: Error performing GET http://s3:9000/mlflow?list-type=2&prefix=1%2Fx in 682.774µs"


def refused(status: str, code: str, message: str) -> str:
    """What obstore says of an answer of S3 with an error."""
    body = f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>{message}</Message><Key>AKIA</Key></Error>'
    return f"{AT} - Server returned non-2xx status code: {status}: {body}\n\nDebug source:\nGeneric {{ ... }}"


def silent(cause: str) -> str:
    """What obstore says when there was no answer."""
    return f"{AT}, after 2 retries - HTTP error: error sending request\n\nDebug source:\nHttp {{ {cause} }}"


LOGINS = [
    (refused("403 Forbidden", "SignatureDoesNotMatch", "Check your key."), "SignatureDoesNotMatch, Check your key"),
    (refused("403 Forbidden", "AccessDenied", "Access Denied"), "AccessDenied, Access Denied"),
    (f"{AT} - Server returned non-2xx status code: 403 Forbidden: ", "HTTP 403"),
    (
        "Error performing PUT http://169.254.169.254/latest/api/token in 101ms - HTTP error",
        "there are no keys in the environment, and no service of a cloud gives some",
    ),
]
OTHERS = [
    (refused("404 Not Found", "NoSuchBucket", "No such bucket."), "NoSuchBucket, No such bucket"),
    (refused("400 Bad Request", "Malformed", "the region &#34;a&#34; is wrong"), 'Malformed, the region "a" is wrong'),
    (f"{AT} - Server returned non-2xx status code: 502 Bad Gateway: <html>", "HTTP 502"),
    (silent('Os { code: 111, message: "Connection refused" }'), "Connection refused"),
    (
        silent('"dns error", Custom { error: "failed to lookup address information" }'),
        "failed to lookup address inform",
    ),
    (silent("InvalidCertificate(\n    UnknownIssuer,\n)"), "its certificate is not trusted, UnknownIssuer"),
    ("something else\nand its types", "something else"),
]


@pytest.mark.parametrize(
    ("text", "says", "kind"),
    [(*each, BucketLoginError) for each in LOGINS] + [(*each, BucketError) for each in OTHERS],
)
def test_the_words_of_the_store_are_told(text: str, says: str, kind: type[BucketError]) -> None:
    """In one line, and without keys, queries and the types of the library; a refused login is told apart."""
    error = bucket_words.error_of(text)
    assert type(error) is kind
    assert str(error).startswith(says)
    assert not [word for word in ("AKIA", "prefix=", "Debug", "\n") if word in str(error)]


def test_words_without_an_end_take_no_more_time_than_they_have_length() -> None:
    """Who answers there may not be S3."""
    assert growth(lambda length: bucket_words.error_of("<Code></Code>" * length)) < LINEAR


def test_mlflow_s_variable_comes_first() -> None:
    """Then that for S3, then that for all services; without any it is AWS."""
    names = ("MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    env = {name: f"https://{name.lower()}:9000/" for name in names}
    for name in names:
        assert bucket_words.endpoint(env) == env.pop(name)
    assert bucket_words.endpoint(env) == ""


@pytest.mark.parametrize("address", ["nowhere", "s3.example.com:9000", "ftp://s3", "https://", "https://a b"])
def test_an_address_that_is_none_is_told(address: str) -> None:
    """The library would end the process with a trace."""
    with pytest.raises(BucketError, match=r"AWS_ENDPOINT_URL is '.*': write an address such as https://s3"):
        bucket_words.endpoint({"AWS_ENDPOINT_URL": address})
