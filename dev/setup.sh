#!/usr/bin/env bash
# Makes the development environment on Linux and macOS: .venv with all pinned packages, .env out of .env.example, and the
# hooks of git. It may be called again at any time. On Windows: dev/setup.ps1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() { printf 'error: %s\n' "$1" >&2; exit 1; }

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3 python; do
    if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"; return
    fi
  done
  die "Python 3.11 or newer is needed; on Debian: apt-get install python3 python3-venv; on macOS: brew install python@3.11"
}

command -v make >/dev/null || die "make is needed; on Debian: apt-get install make; on macOS: xcode-select --install"
python=$(find_python)
echo "installing what dev/requirements.txt pins into .venv, with $("$python" --version): some minutes the first time"
make --silent .venv/installed PYTHON="$python"
if [ -e .env ]; then echo ".env is there, and stays as it is"; else cp .env.example .env; echo "made .env from .env.example"; fi
if git rev-parse --git-dir >/dev/null 2>&1; then .venv/bin/pre-commit install; fi
.venv/bin/python -m sluice_trainer validate --sample
cat <<'TEXT'
ready. Next:
  make check                                                lint, types and unit tests
  docker compose --env-file .env -f manifests/compose/compose.yaml up --build
  make demo                                                 a rollout on a real cluster (Linux, as root; or kind)
TEXT
