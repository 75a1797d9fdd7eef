"""Where an object store is, and what it said, out of the long text in which obstore tells it. Pure.

That text has whole answers, addresses with queries, and the library's own types. People need the store's own sentence.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

_ENDPOINTS = ("MLFLOW_S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_ADDRESS = re.compile(r"https?://[^/\s]+(/\S*)?")
_SAID = re.compile(r"<Code>(?P<code>[^<]*)</Code>(?:(?!<Code>).)*?<Message>(?P<message>[^<]*)</Message>", re.DOTALL)
_STATUS = re.compile(r"status code: (?P<status>[0-9]{3})")
_CERTIFICATE = re.compile(r"InvalidCertificate\(\s*(?P<why>\w+)")
_CAUSE = re.compile(r'(?:error|message): "([^"]+)"')
_NO_KEYS = re.compile(r"://[^/]+/latest/(api/token|meta-data)")  # where a machine of a cloud asks for its keys
_LOGIN = frozenset(
    {
        "AccessDenied",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "XAdminUserNotFound",  # of versitygw, which answers 404
    }
)


class BucketError(OSError):
    """The store did not give what was asked for; the message has its words."""


class BucketLoginError(BucketError):
    """There are no keys, or the store does not accept them, or not for this bucket."""


def endpoint(env: Mapping[str, str]) -> str:
    """The address of the store, from the first variable that has one; empty for that of AWS. Raises BucketError."""
    for name in _ENDPOINTS:
        if address := env.get(name, "").strip():
            if not _ADDRESS.fullmatch(address):
                raise BucketError(f"{name} is {address[:100]!r}: write an address such as https://s3.example.com")
            return address
    return ""


def error_of(text: str) -> BucketError:
    """The error to raise for `text` of obstore. It has no keys, signatures or queries."""
    if _NO_KEYS.search(text):
        return BucketLoginError("there are no keys in the environment, and no service of a cloud gives some")
    said, status = _SAID.search(text), _STATUS.search(text)
    if said:
        kind = BucketLoginError if said["code"] in _LOGIN else BucketError
        return kind(f"{said['code']}, {html.unescape(said['message']).rstrip('.')}")
    if status:
        return (BucketLoginError if status["status"] in {"401", "403"} else BucketError)(f"HTTP {status['status']}")
    if certificate := _CERTIFICATE.search(text):
        return BucketError(f"its certificate is not trusted, {certificate['why']}")
    causes = _CAUSE.findall(text)
    return BucketError(causes[-1] if causes else text.partition("\n")[0][:300])
