"""`python -m sluice_store serve` runs the service; `token NAMESPACE` prints the token of a namespace.

A setting that cannot be used ends it with exit code 2 and a sentence.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from sluice_store import logs, tokens
from sluice_store.settings import SettingError, read


def main(arguments: Sequence[str], env: Mapping[str, str]) -> int:
    """Runs the command; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sluice_store", description="Sluice's store.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="answer requests until SIGTERM")
    token = commands.add_parser("token", help="print the token of a namespace, made with the key of the store")
    token.add_argument("namespace", help=f"a namespace, or {tokens.EVERYWHERE!r} for the operator: all namespaces")
    chosen = parser.parse_args(arguments)
    try:
        return _serve(env) if chosen.command == "serve" else _token(env, chosen.namespace)
    except SettingError as error:
        print(f"sluice_store: {error}", file=sys.stderr)
        return 2


def _serve(env: Mapping[str, str]) -> int:
    settings = read(env)
    logs.configure(settings.log_level)
    from sluice_store.http import serve  # noqa: PLC0415 - `token` needs no web framework

    serve.run(settings)
    return 0


def _token(env: Mapping[str, str], namespace: str) -> int:
    key = read(env).key
    if key is None:
        raise SettingError("SLUICE_STORE_OPEN is true: a store without a key takes no tokens.")
    if not tokens.is_scope(namespace):
        raise SettingError(f"{namespace!r} is no namespace: it has at most 63 lower-case letters, digits and '-'.")
    print(tokens.make(key, namespace))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
