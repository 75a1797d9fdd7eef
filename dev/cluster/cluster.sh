#!/usr/bin/env bash
# The entry point of the local cluster. `cluster.sh help` lists its commands.
set -Eeuo pipefail
trap 'log "stopped at ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND"' ERR
. "$(dirname "${BASH_SOURCE[0]}")/config.sh"

usage() {
  cat <<'TEXT'
cluster.sh COMMAND
  up           builds what is missing, starts the cluster or repairs it, with Traefik, Prometheus and MLflow
  down         ends it: no process, mount, namespace, route or cgroup stays
  status       what runs, and where; exit code 1 unless the API server answers
  build        only builds the cluster's programs
  images       makes all images whose inputs changed, or those that are named, and loads them when the cluster runs
  install      makes and loads the project's images, installs CRDs and operator, waits for it
  bin          the folders that `build` fills, as in PATH
  env          addresses, as lines of NAME=value
  kubeconfig   the path of the kubeconfig
  node CMD...  runs a command inside the node
Settings: SLUICE_ENGINE=native|kind, SLUICE_CLUSTER (name), SLUICE_INDEX (0 to 9), SLUICE_SCRAPE_INTERVAL (2s).
TEXT
}

# engine: kind if a container engine answers and kind is installed, otherwise native
engine() {
  if [ -n "${SLUICE_ENGINE:-}" ]; then echo "$SLUICE_ENGINE"
  elif command -v kind >/dev/null && docker info >/dev/null 2>&1; then echo kind
  else echo native; fi
}

# Only one change at a time, because builds and starts in two terminals would disturb each other. --close: programs that
# are started here must not hold the lock.
locked() {
  [ -z "${SLUICE_LOCKED:-}" ] || return 0
  mkdir -p "$CACHE"/{bin,images,clusters}
  command -v flock >/dev/null || return 0      # not on macOS, where kind is used
  flock --nonblock "$CACHE/lock" true || log "waiting for another cluster.sh to finish"
  SLUICE_LOCKED=1 exec flock --close "$CACHE/lock" "$HERE/cluster.sh" "$@"
}

print_env() {
  echo "KUBECONFIG=$KUBECONFIG"
  echo "KUBECTL=$(kubectl_path)"
  echo "SLUICE_AUDIT_LOG=${AUDIT_LOG:-}"
  echo "SLUICE_GATEWAY=http://$NODE_ADDRESS:$GATEWAY_PORT"
  echo "SLUICE_PROMETHEUS=http://$NODE_ADDRESS:$PROMETHEUS_PORT"
  echo "SLUICE_MLFLOW=http://$NODE_ADDRESS:$MLFLOW_PORT"
}

print_status() {
  cluster_runs || { echo "cluster $NAME: not running (start it with: make cluster-up)"; exit 1; }
  echo "cluster $NAME: running"
  print_env
  kubectl get nodes -o wide
  kubectl get pods --all-namespaces
}

command=${1:-help}; shift || true
case $command in up | down | build | images | install) locked "$command" "$@" ;; esac
. "$HERE/$(engine).sh"
case $command in
  up) command_up ;;
  down) command_down ;;
  status) print_status ;;
  build) command_build ;;
  images) command_images "$@" ;;
  install) install_project ;;
  bin) check_go; for group in kubernetes node prometheus "${GROUPS_OF_TESTS[@]}"; do binaries "$group"; done | paste -sd : ;;
  env) print_env ;;
  kubeconfig) echo "$KUBECONFIG" ;;
  node) command_node "$@" ;;
  help | -h | --help) usage ;;
  *) usage >&2; die "unknown command: $command" ;;
esac
