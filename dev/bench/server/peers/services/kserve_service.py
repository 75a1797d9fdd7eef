"""KServe's model server with what its sklearnserver does, which is in KServe's images only.

Runs in KServe's environment. MODEL_FILE names the estimator. The server listens on loopback, which KServe has no
setting for.
"""

import os
from typing import Any

import joblib
from kserve import Model, ModelServer, model_server
from kserve.utils.utils import get_predict_input, get_predict_response


class Estimator(Model):
    """An estimator of scikit-learn that answers in the dialect of the request."""

    def load(self) -> bool:
        self._estimator = joblib.load(os.environ["MODEL_FILE"])
        self.ready = True
        return self.ready

    def predict(self, payload: Any, headers: dict[str, str] | None = None) -> Any:
        return get_predict_response(payload, self._estimator.predict(get_predict_input(payload)), self.name)


class Loopback(model_server.RESTServer):
    """KServe's server, which would listen everywhere."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.config.host = "127.0.0.1"


if __name__ == "__main__":
    model_server.RESTServer = Loopback
    estimator = Estimator(model_server.args.model_name)
    estimator.load()
    ModelServer().start([estimator])
