"""`python -m sluice_server {prepare|fetch|convert|try|serve|run}`: reads the environment once and runs the command.

`prepare` is the Job of a revision where there is a store, and `fetch` the init container of a pod. Both exit with 0,
1 (try again) or 3 (refused for good). They start `convert`, which exits with 0, and `try`, which loads the model once.
`serve` runs until SIGTERM. `run` is fetch and serve for a laptop, without an operator. A setting that cannot be used
ends each of them with exit code 2 and a sentence.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import NoReturn

from sluice_server import logs, run_environment
from sluice_server.fetch import patience
from sluice_server.handover import Fetched, Report
from sluice_server.model.refusal import Refused
from sluice_server.settings import (
    MLFLOW_DEFAULTS,
    REGISTRY_CA,
    LogSettings,
    convert_settings,
    fetch_settings,
    mlflow_defaults,
    serve_settings,
)
from sluice_server.variables import SettingError


def main(arguments: Sequence[str], env: MutableMapping[str, str]) -> int:
    """Runs the command; gives the exit code. MLflow reads `env` itself, so its defaults are added to it."""
    parser = argparse.ArgumentParser(prog="python -m sluice_server", description="Sluice's model server.")
    help_text = "put a checked model into the store; bring it into SLUICE_MODEL_DIR; serve it; or run: both of these"
    parser.add_argument("command", choices=COMMANDS, help=help_text)
    try:
        return COMMANDS[parser.parse_args(arguments).command](env)
    except SettingError as error:
        print(f"sluice_server: {error}", file=sys.stderr)
        return 2


def _prepare(env: MutableMapping[str, str]) -> int:
    settings = fetch_settings(env)
    if settings.store is None:
        raise SettingError("SLUICE_STORE_URL is not set: prepare needs a store to put the model into.")
    _configure(settings.log, env)
    from sluice_server.fetch import prepare  # noqa: PLC0415 - MLflow is imported after its variables are set

    return prepare.run(settings, settings.store)


def _fetch(env: MutableMapping[str, str]) -> int:
    settings = fetch_settings(env)
    _configure(settings.log, env)
    if settings.store is not None and settings.digest:
        from sluice_server.fetch import from_store  # noqa: PLC0415 - without MLflow, which takes seconds to import

        sources = [settings.store, *([settings.peer] if settings.peer else [])]
        return from_store.run(settings, sources, settings.digest)
    from sluice_server.fetch import fetch  # noqa: PLC0415 - MLflow is imported after its variables are set, and never by serve

    return fetch.run(settings)


def _configure(log: LogSettings, env: MutableMapping[str, str]) -> None:
    """The log, and the variables that MLflow reads."""
    logs.configure(log)
    for name, value in mlflow_defaults(REGISTRY_CA).items():
        env.setdefault(name, value)


def _convert(env: MutableMapping[str, str]) -> int:
    settings = convert_settings(env)
    logs.configure(settings.log)
    from sluice_server.convert import convert  # noqa: PLC0415 - imports scikit-learn

    return convert.run(settings)


def _try(env: MutableMapping[str, str]) -> int:
    settings = convert_settings(env)
    logs.configure(settings.log)
    from sluice_server.fetch import trial  # noqa: PLC0415 - as the others

    return trial.run(settings)


def _serve(env: MutableMapping[str, str]) -> int:
    settings = serve_settings(env)
    logs.configure(settings.log)
    for name, value in MLFLOW_DEFAULTS.items():  # read by a model that MLflow itself loads
        env.setdefault(name, value)
    from sluice_server.runtimes.optional import without  # noqa: PLC0415 - as below

    with without("watchfiles"):  # with which uvicorn looks for changes of its code
        from sluice_server.process import serve  # noqa: PLC0415 - the web framework is no business of fetch

    return serve.main(settings)


def _run(env: MutableMapping[str, str]) -> int:
    """Fetches, and becomes `serve`: a process without MLflow, which gets the signals itself.

    With an interval it stays, and starts itself again for each version.
    """
    named = run_environment.plain(env)
    sources = run_environment.sources(named)
    settings = fetch_settings(run_environment.fetching(named))
    serving = serve_settings(named)  # a setting that cannot be used is told before a model is fetched
    interval = run_environment.reload_interval(named)
    _configure(settings.log, named)
    env.update(named)  # MLflow reads it
    if interval:
        from sluice_server import reload  # noqa: PLC0415 - MLflow is imported after its variables are set

        return reload.run(sources.uri, interval, run_environment.of_one_version(named), serving, settings.model_dir)
    from sluice_server.fetch import standalone  # noqa: PLC0415 - as above

    tell = serving.handover.tell if serving.handover is not None else _to_nobody
    found = standalone.run(settings, sources, lambda: tell(Fetched()))
    if not isinstance(found, dict):
        tell(Report(sources.uri, False, f"{found.reason}: {found.message}", isinstance(found, Refused)))
        return 1
    own = {"SLUICE_REVISION": revision} if (revision := named.get("SLUICE_REVISION")) else {}
    serve = [sys.executable, "-m", "sluice_server", "serve"]
    os.execve(sys.executable, serve, named | found | own)  # noqa: S606


def _to_nobody(said: Fetched | Report) -> None:
    """Where nothing is reloaded, the log says it all."""


COMMANDS: Mapping[str, Callable[[MutableMapping[str, str]], int]] = {
    "prepare": _prepare,
    "fetch": _fetch,
    "convert": _convert,
    "try": _try,
    "serve": _serve,
    "run": _run,
}


def leave(code: int) -> NoReturn:
    """Ends the process, also while a thread of MLflow's, for which Python would wait, waits for an answer."""
    if patience.is_asking():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    leave(main(sys.argv[1:], os.environ))
