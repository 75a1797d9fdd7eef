# Names, addresses and paths of the local cluster, and the few functions that all scripts here share. It is sourced and
# starts nothing. A second cluster on the same machine needs another SLUICE_CLUSTER (its name) and another SLUICE_INDEX
# (0 to 9, for the address ranges).
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/sluice

NAME=${SLUICE_CLUSTER:-sluice}          # also the name of a network link: at most 13 characters
INDEX=${SLUICE_INDEX:-0}
[[ $NAME =~ ^[a-z][a-z0-9-]{0,11}$ && $INDEX =~ ^[0-9]$ ]] || {
  echo "error: SLUICE_CLUSTER must be a short name (lower-case letters, digits, -), and SLUICE_INDEX one digit" >&2; exit 1
}
HOST_IP=10.201.$INDEX.1                 # this machine, seen from the node and from pods
NODE_IP=10.201.$INDEX.2                 # the node: API server and node ports
NODE_NET=10.201.$INDEX.0/24
SERVICE_NET=10.$((96 + INDEX)).0.0/16
POD_NET=10.$((244 + INDEX)).0.0/16
API_IP=10.$((96 + INDEX)).0.1
DNS_IP=10.$((96 + INDEX)).0.10
API_URL=https://$NODE_IP:6443

GATEWAY_PORT=30080
PROMETHEUS_PORT=30090
MLFLOW_PORT=30500
SCRAPE_INTERVAL=${SLUICE_SCRAPE_INTERVAL:-2s}
WITH_STORE=${SLUICE_WITH_STORE:-}       # anything: install the store as well, so that models are prepared once

STATE=$CACHE/clusters/$NAME             # certificates, logs, etcd, kubelet, image store
CGROUP=sluice-$NAME                     # a name that no cgroup of another program has
RUN=/run/sluice-$NAME                   # sockets and pid files; short, because the path of a socket has at most 107 characters
ADMIN_CONF=$STATE/pki/admin.conf

# `registry.local` does not exist: all images are made on this machine, and none is pulled.
PAUSE_IMAGE=registry.local/pause:1
PYTHON_IMAGE=registry.local/base/python:3.11
COREDNS_IMAGE=registry.local/coredns:1.15.0
TRAEFIK_IMAGE=registry.local/traefik:3.7.15
PROMETHEUS_IMAGE=registry.local/prometheus:3.15.0
MLFLOW_IMAGE=registry.local/mlflow:3.17.2
COMPONENTS=(operator server store trainer)    # one image each: registry.local/sluice-<component>:dev

log() { printf '[%4d s] %s\n' "$SECONDS" "$*" >&2; }
die() { printf 'error: %s\n' "$1" >&2; [ $# -lt 2 ] || printf '  mend it with: %s\n' "$2" >&2; exit 1; }

# found PATTERN: whether stdin has it, read to its end. `grep -q` ends at the first match; whatever then still writes to
# it fails, and with it the whole pipe.
found() { grep "$@" >/dev/null; }

# hash_of PATH...: a short hash of the names and contents of files and folders (relative to the project), and of $SALT
hash_of() {
  { printf '%s\n' "${SALT:-}"
    cd "$ROOT" && find "$@" -type f -not -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
  } | sha256sum | cut -c1-12
}

# render FILE: the file, with each @VARIABLE@ replaced by the value of that shell variable
render() {
  local text; text=$(<"$1")
  while [[ $text =~ @([A-Z_]+)@ ]]; do text=${text//"${BASH_REMATCH[0]}"/${!BASH_REMATCH[1]}}; done
  printf '%s\n' "$text"
}
