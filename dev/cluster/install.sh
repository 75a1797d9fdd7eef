# Installs the project into the cluster: its images, and manifests/install/local with the settings of this cluster.
# Sourced by native.sh and kind.sh, which define `kubectl`, `ensure_images` and `loaded_key`.

install_project() {
  local overlay=$STATE/install
  ensure_images "${COMPONENTS[@]}"
  mkdir -p "$overlay"
  write_overlay "$overlay" >"$overlay/kustomization.yaml"
  kubectl apply --server-side --force-conflicts -k "$overlay" >/dev/null
  kubectl wait --for=condition=Established crd/modeldeployments.sluice.dev --timeout=30s >/dev/null
  wait_for sluice-system sluice-operator
}

# The tag of the image stays the same, so its key is in the annotations of the pod: a new image restarts the operator.
write_overlay() {
  cat <<YAML
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- $(python3 -c 'import os, sys; print(os.path.relpath(*map(os.path.realpath, sys.argv[1:])))' "$ROOT/manifests/install/local" "$1")
patches:
- patch: |
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: sluice-operator, namespace: sluice-system}
    spec: {template: {metadata: {annotations: {sluice.dev/image-key: "$(loaded_key operator)"}}}}
configMapGenerator:
- name: sluice-operator
  namespace: sluice-system
  behavior: merge
  literals:
  - SLUICE_SCRAPE_INTERVAL=$SCRAPE_INTERVAL
  - SLUICE_EVALUATION_INTERVAL=$SCRAPE_INTERVAL
YAML
}
