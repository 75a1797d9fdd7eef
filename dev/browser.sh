#!/usr/bin/env bash
# The browser that the tests of the web page drive: Debian's Chromium, unless there is one already.
set -euo pipefail
for name in "${SLUICE_BROWSER:-chromium}" chromium-browser google-chrome; do
  ! command -v "$name" >/dev/null || exit 0
done
command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || {
  echo "error: a browser is needed: install Chromium, or name one: export SLUICE_BROWSER=/path/to/it" >&2
  exit 1
}
echo "Debian packages: installing chromium"
apt-get update -q=2
DEBIAN_FRONTEND=noninteractive apt-get install -y -q=2 --no-install-recommends chromium >/dev/null
