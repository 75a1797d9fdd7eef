# Installs the project into the cluster: its images, crds/ and manifests/install/. Sourced by both ways in.

OPERATOR_NAMESPACE=sluice-system
IMAGE_MARK=sluice.dev/image-key

install_project() {
  local key was
  ensure_project_images
  key=$(image_key operator)
  was=$(kubectl -n $OPERATOR_NAMESPACE get deployment sluice-operator --ignore-not-found -o "jsonpath=was:{.metadata.annotations.sluice\.dev/image-key}")
  kubectl apply --server-side -f "$ROOT/crds/" >/dev/null
  kubectl wait --for=condition=Established -f "$ROOT/crds/" --timeout=30s >/dev/null
  kubectl apply --server-side -f "$ROOT/manifests/install/" >/dev/null
  # The tag stays the same, so a changed image shows only here.
  if [ -n "$was" ] && [ "$was" != "was:$key" ]; then
    say "operator: its image changed, restarting"
    kubectl -n $OPERATOR_NAMESPACE rollout restart deployment/sluice-operator >/dev/null
  fi
  kubectl -n $OPERATOR_NAMESPACE annotate --overwrite deployment/sluice-operator "$IMAGE_MARK=$key" >/dev/null
  wait_for $OPERATOR_NAMESPACE sluice-operator
}
