"""`python -m sluice_server {fetch|serve}`: reads the environment once and runs the command.

`fetch` is the pod's init container and exits with 0, 1 (try again) or 3 (refused for good). `serve` runs until
SIGTERM. A setting that cannot be used ends either of them with exit code 2 and a sentence.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, MutableMapping, Sequence

from sluice_server import logs
from sluice_server.settings import REGISTRY_CA, SettingError, fetch_settings, mlflow_defaults, serve_settings


def main(arguments: Sequence[str], env: MutableMapping[str, str]) -> int:
    """Runs the command; gives the exit code. MLflow reads `env` itself, so its defaults are added to it."""
    parser = argparse.ArgumentParser(prog="python -m sluice_server", description="Sluice's model server.")
    parser.add_argument("command", choices=("fetch", "serve"), help="fetch a model into SLUICE_MODEL_DIR, or serve it")
    try:
        return _fetch(env) if parser.parse_args(arguments).command == "fetch" else _serve(env)
    except SettingError as error:
        print(f"sluice_server: {error}", file=sys.stderr)
        return 2


def _fetch(env: MutableMapping[str, str]) -> int:
    settings = fetch_settings(env)
    logs.configure(settings.log)
    for name, value in mlflow_defaults(REGISTRY_CA).items():
        env.setdefault(name, value)
    from sluice_server.fetch import fetch  # noqa: PLC0415 - MLflow is imported after its variables are set, and never by serve

    return fetch.run(settings)


def _serve(env: Mapping[str, str]) -> int:
    settings = serve_settings(env)
    logs.configure(settings.log)
    from sluice_server.process import serve  # noqa: PLC0415 - the web framework is no business of fetch

    return serve.main(settings)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
