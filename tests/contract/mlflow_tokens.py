"""For the setting `authorization_function` of MLflow's app for logins: a user is also known by a token.

MLflow's server imports it, and not the tests. TESTS_TOKEN is the token of the user TESTS_READER.
"""

import os
from typing import Any

from flask import request
from mlflow.server.auth import authenticate_request_basic_auth
from werkzeug.datastructures import Authorization


def authenticate() -> Any:
    """The user behind a request."""
    shown = request.authorization
    if shown is not None and shown.type == "bearer" and shown.token == os.environ["TESTS_TOKEN"]:
        return Authorization("basic", {"username": os.environ["TESTS_READER"], "password": ""})
    return authenticate_request_basic_auth()
