# The cluster with a container engine: the same peers, images and manifests, in kind. Sourced by cluster.sh after
# config.sh. Traefik and Prometheus are the published images, with the names that the manifests use.

NODE_ADDRESS=127.0.0.1
KUBECONFIG=$STATE/kind.conf
for part in binaries image-inputs peers install; do
  . "$HERE/$part.sh"
done

kubectl() { command kubectl --kubeconfig "$KUBECONFIG" "$@"; }
kubectl_path() { command -v kubectl; }
cluster_exists() { kind get clusters 2>/dev/null | found -x "$NAME"; }
cluster_runs() { cluster_exists && kubectl get --raw /readyz >/dev/null 2>&1; }

command_up() {
  local program
  for program in docker kind kubectl go; do
    command -v "$program" >/dev/null || die "$program is needed for a cluster in a container engine" "see docs/cluster.md"
  done
  mkdir -p "$STATE"
  cluster_exists || kind_settings | kind create cluster --name "$NAME" --kubeconfig "$KUBECONFIG" --config - --wait 120s
  ensure_images "${PEER_IMAGES[@]}"
  apply_peers
  log "cluster ready: KUBECONFIG=$KUBECONFIG"
}

kind_settings() {
  local port
  printf '%s\n' "kind: Cluster" "apiVersion: kind.x-k8s.io/v1alpha4" "nodes:" "- role: control-plane" "  extraPortMappings:"
  for port in $GATEWAY_PORT $PROMETHEUS_PORT $MLFLOW_PORT; do
    echo "  - {containerPort: $port, hostPort: $port, listenAddress: $NODE_ADDRESS}"
  done
}

command_down() { kind delete cluster --name "$NAME" --kubeconfig "$KUBECONFIG"; }
command_build() { check_go; build_binaries "${GROUPS_OF_NODE[@]}" "${GROUPS_OF_TESTS[@]}"; }
command_images() {
  [ $# -gt 0 ] || set -- "${PEER_IMAGES[@]}" "${COMPONENTS[@]}"
  ensure_images "$@"
}
command_node() { docker exec "$NAME-control-plane" "$@"; }

# ensure_images NAME...: docker and kind skip what exists already
ensure_images() {
  local name image
  for name; do
    image=$(image_name "$name")
    log "image $name: making $image"
    case $name in
      traefik) published "traefik:v${image##*:}" "$image" ;;
      prometheus) published "prom/prometheus:v${image##*:}" "$image" ;;
      mlflow) build_image "$image" trainer/Dockerfile --target mlflow ;;
      server-pyfunc) build_image "$image" "$(dockerfile "$name")" --target pyfunc ;;
      faulty) ensure_images server; build_image "$image" "$(dockerfile faulty)" ;;
      *) build_image "$image" "$(dockerfile "$name")" --build-arg "VERSION=$(image_version "$(image_key "$name")")"
         docker run --rm --read-only --network none --tmpfs /tmp --entrypoint python "$image" -c "import sluice_$name.__main__" ;;
    esac
    ! cluster_exists || kind load docker-image --name "$NAME" "$image"
  done
}

loaded_key() { docker image inspect --format '{{.Id}}' "$(image_name "$1")"; }

published() { docker pull -q "$1" && docker tag "$1" "$2"; }

build_image() {
  local image=$1 file=$2 settings built=; shift 2
  settings=$(mktemp); pip_settings >"$settings"
  DOCKER_BUILDKIT=1 docker build -q --secret "id=pip,src=$settings" -f "$ROOT/$file" -t "$image" "$@" "$ROOT" >/dev/null && built=yes
  rm "$settings"                             # it may contain the password of an index
  [ "$built" ] || die "the build of $image failed (see above)"
}
