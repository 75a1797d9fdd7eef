# Traefik, Prometheus and MLflow as pods, the same in the native cluster and in kind. Sourced by native.sh and kind.sh,
# which define `kubectl`, the images and NODE_ADDRESS (where this machine reaches the node ports).

apply_peers() {
  apply_gateway_crds
  local peer
  for peer in traefik prometheus mlflow; do
    peer_manifest "$peer" | kubectl apply --server-side --force-conflicts -f - >/dev/null
  done
  wait_for traefik traefik
  wait_for monitoring prometheus
  wait_for mlflow mlflow
}

# peer_manifest PEER. Prometheus evaluates the files of manifests/alerts as they are.
peer_manifest() {
  RULES_KEY=$(hash_of manifests/alerts) render "$HERE/manifests/$1.yaml"
  if [ "$1" = prometheus ]; then
    echo ---
    kubectl create configmap prometheus-rules --namespace=monitoring --from-file="$ROOT/manifests/alerts" --dry-run=client -o yaml
  fi
}

# The CRDs come from the Go module of the version that Traefik is built against.
apply_gateway_crds() {
  local folder file files=()
  folder=$(cd "$HERE/go/gateway-api" && go mod download sigs.k8s.io/gateway-api && go list -m -f '{{.Dir}}' sigs.k8s.io/gateway-api)
  for file in "$folder"/config/crd/standard/gateway.networking.k8s.io_*s.yaml; do
    case $file in *_vap_*) ;; *) files+=(--filename="$file") ;; esac      # without admission policies, because nothing is upgraded here
  done
  kubectl apply --server-side "${files[@]}" >/dev/null
  kubectl wait --for=condition=Established "${files[@]}" --timeout=30s >/dev/null
}

# wait_for NAMESPACE DEPLOYMENT
wait_for() {
  kubectl -n "$1" rollout status "deployment/$2" --timeout=180s >/dev/null ||
    { kubectl -n "$1" get pods >&2; kubectl -n "$1" logs "deployment/$2" --tail=20 >&2; die "$2 did not become Available (above: its pods and logs)"; }
  log "peer: $2 Available"
}
