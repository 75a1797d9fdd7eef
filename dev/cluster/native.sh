# The native cluster: a Kubernetes with one node, as processes of this machine. Sourced by cluster.sh after config.sh.

NODE_ADDRESS=$NODE_IP
KUBECONFIG=$ADMIN_CONF
AUDIT_LOG=$STATE/log/audit.log          # what service accounts ask of the API server; kind keeps none
for part in binaries image-inputs images preflight namespaces certificates node end peers install; do
  . "$HERE/$part.sh"
done

command_up() {
  preflight
  remove_leftovers
  build_binaries "${GROUPS_OF_NODE[@]}"
  start_node
  ensure_images "${PEER_IMAGES[@]}"
  apply_peers
  log "cluster ready: KUBECONFIG=$KUBECONFIG"
}

# Removes incomplete files of an interrupted run. No other cluster.sh writes here, because this one has the lock.
remove_leftovers() { rm -rf "$CACHE"/bin/.[a-z]* "$CACHE"/images/.[a-z]* "$CACHE"/images/*.partial; }

command_down() {
  [ "$(id -u)" = 0 ] || die "the native cluster can only be ended as root" "sudo -E make cluster-down"
  end_node
  log "cluster ended"
}

command_build() { preflight; remove_leftovers; build_binaries "${GROUPS_OF_NODE[@]}" "${GROUPS_OF_TESTS[@]}"; }

command_images() {
  preflight
  remove_leftovers
  build_binaries "${GROUPS_OF_NODE[@]}"
  [ $# -gt 0 ] || set -- "${NODE_IMAGES[@]}" "${PEER_IMAGES[@]}" "${COMPONENTS[@]}"
  ensure_images "$@"
}

kubectl_path() { echo "$STATE/bin/kubernetes/kubectl"; }

cluster_runs() { node_runs && kubectl get --raw /readyz >/dev/null 2>&1; }

command_node() { in_node "$@"; }
