# Starts the programs of the node that do not run. It can be called again at any time.
# Sourced after config.sh, binaries.sh, images.sh, namespaces.sh and certificates.sh.

kubectl() { "$STATE/bin/kubernetes/kubectl" --kubeconfig "$ADMIN_CONF" "$@"; }
ctr() { "$STATE/bin/node/ctr" -a "$RUN/containerd.sock" --connect-timeout 2s -n k8s.io "$@"; }

start_node() {
  if node_runs && ! { node_connected && same_programs; }; then
    log "node: cut off in the making, or made from other programs: starting anew"
    end_node
  fi
  node_runs || { [ ! -e "$RUN" ] || end_node; make_node; }      # files without an anchor: the node was killed from outside
  link_programs
  make_certificates
  write_settings
  start_programs
}

# The node keeps the programs with which it was started, also if newer ones are built later.
same_programs() {
  local group
  for group in kubernetes node; do [ "$(readlink "$STATE/bin/$group")" = "$(binaries $group)" ] || return 1; done
}

link_programs() {
  local group
  mkdir -p "$STATE/bin"
  for group in kubernetes node; do ln -sfn "$(binaries $group)" "$STATE/bin/$group"; done
}

write_settings() {
  local file
  mkdir -p "$STATE/settings"
  for file in audit.yaml containerd.toml kubelet.yaml kube-proxy.yaml; do settings "$file" "$STATE/settings/$file"; done
  settings cni.conflist "$STATE/cni/10-pods.conflist"
  : >>"$STATE/resolv.conf"
}

# settings TEMPLATE FILE: written only when it changes, because kube-proxy ends itself when its file is touched
settings() {
  render "$HERE/templates/$1" >"$2.new"
  if cmp -s "$2.new" "$2"; then rm "$2.new"; else mv "$2.new" "$2"; fi
}

start_programs() {
  local settings=$STATE/settings pki=$STATE/pki programs=$STATE/bin/kubernetes
  start containerd "$STATE/bin/node/containerd" -c "$settings/containerd.toml"
  start_etcd
  start_api_server
  until_true "containerd answers" 60 ctr version
  ensure_images "${NODE_IMAGES[@]}"
  until_true "API server ready" 120 kubectl get --raw /readyz
  # With the default of 20 requests per second the start takes 4 s more.
  start controller-manager "$programs/kube-controller-manager" --kubeconfig="$pki/controller-manager.conf" \
    --service-account-private-key-file="$pki/service-accounts.key" --root-ca-file="$pki/ca.crt" \
    --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
    --use-service-account-credentials --leader-elect=false --kube-api-qps=500 --kube-api-burst=1000
  start scheduler "$programs/kube-scheduler" --kubeconfig="$pki/scheduler.conf" --leader-elect=false \
    --kube-api-qps=500 --kube-api-burst=1000
  start kubelet "$programs/kubelet" --config="$settings/kubelet.yaml" --kubeconfig="$pki/kubelet.conf" \
    --hostname-override=node1 --root-dir="$STATE/kubelet" --node-ip="$NODE_IP"
  start kube-proxy "$programs/kube-proxy" --config="$settings/kube-proxy.yaml"
  render "$HERE/manifests/coredns.yaml" | kubectl apply --server-side -f - >/dev/null
  until_true "node Ready" 60 node_ready
  until_true "CoreDNS Available" 60 kubectl -n kube-system wait --for=condition=Available deployment/coredns --timeout=0
  until_true "default service account" 30 kubectl -n default get serviceaccount default
}

node_ready() { kubectl get node node1 | found ' Ready'; }

start_etcd() {
  start etcd "$STATE/bin/node/etcd" --data-dir "$STATE/etcd" --unsafe-no-fsync --logger zap --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
}

start_api_server() {
  local pki=$STATE/pki
  start api-server "$STATE/bin/kubernetes/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 \
    --bind-address=0.0.0.0 --advertise-address="$NODE_IP" --secure-port=6443 --service-cluster-ip-range="$SERVICE_NET" \
    --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt" \
    --kubelet-client-certificate="$pki/admin.crt" --kubelet-client-key="$pki/admin.key" \
    --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --service-account-key-file="$pki/service-accounts.pub" --service-account-signing-key-file="$pki/service-accounts.key" \
    --service-account-issuer=https://kubernetes.default.svc \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
    --requestheader-client-ca-file="$pki/front-ca.crt" --requestheader-allowed-names=front-proxy \
    --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-group-headers=X-Remote-Group \
    --requestheader-username-headers=X-Remote-User \
    --proxy-client-cert-file="$pki/front.crt" --proxy-client-key-file="$pki/front.key" --enable-aggregator-routing=true \
    --audit-policy-file="$STATE/settings/audit.yaml" --audit-log-path="$AUDIT_LOG" \
    --audit-log-maxsize=100 --audit-log-maxbackup=5
}
