# Installs the project into the cluster: its images, and manifests/install/local with the settings of this cluster.
# Sourced by native.sh and kind.sh, which define `kubectl`, `ensure_images` and `loaded_key`.

install_project() {
  local overlay=$STATE/install
  ensure_images "${COMPONENTS[@]}"
  mkdir -p "$overlay"
  write_overlay "$overlay" >"$overlay/kustomization.yaml"
  [ -z "$WITH_STORE" ] || make_store_key
  kubectl apply --server-side --force-conflicts -k "$overlay" >/dev/null
  kubectl wait --for=condition=Established crd/modeldeployments.sluice.dev --timeout=30s >/dev/null
  [ -z "$WITH_STORE" ] || wait_for sluice-system sluice-store
  wait_for sluice-system sluice-operator
}

# The key of the store is made once: another one would end all tokens.
make_store_key() {
  kubectl apply --server-side -f "$ROOT/manifests/install/common/namespace.yaml" >/dev/null
  kubectl get secret sluice-store-key -n sluice-system >/dev/null 2>&1 ||
    kubectl create secret generic sluice-store-key -n sluice-system --from-literal=key="$(openssl rand -hex 32)" >/dev/null
}

# from_overlay PATH FOLDER: a path of the project, as kustomize wants it in a file of FOLDER
from_overlay() {
  python3 -c 'import os, sys; print(os.path.relpath(*map(os.path.realpath, sys.argv[1:])))' "$ROOT/$1" "$2"
}

# The tag of the image stays the same, so its key is in the annotations of the pod: a new image restarts the operator.
write_overlay() {
  cat <<YAML
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- $(from_overlay manifests/install/local "$1")
${WITH_STORE:+components: ["$(from_overlay manifests/install/local-store "$1")"]}
patches:
$(key_patch sluice-operator operator)
${WITH_STORE:+$(key_patch sluice-store store)}
configMapGenerator:
- name: sluice-operator
  namespace: sluice-system
  behavior: merge
  literals:
  - SLUICE_SCRAPE_INTERVAL=$SCRAPE_INTERVAL
  - SLUICE_EVALUATION_INTERVAL=$SCRAPE_INTERVAL
YAML
}

# key_patch DEPLOYMENT IMAGE: puts the key of the image into the annotations of the pods
key_patch() {
  cat <<YAML
- patch: |
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: $1, namespace: sluice-system}
    spec: {template: {metadata: {annotations: {sluice.dev/image-key: "$(loaded_key "$2")"}}}}
YAML
}
