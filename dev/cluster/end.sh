# Ends a cluster and leaves nothing of it: no process, mount, link, route, cgroup or changed sysctl. It also works after
# an interrupted start, and if parts of the cluster have ended. No process is ended by its name: only the anchor, by pid
# and start time (then the kernel ends all processes in its namespaces), and what is left in the cgroup of the cluster.
# Programs, image archives and the image store stay. Sourced after namespaces.sh and node.sh.

end_node() {
  [ ! -e "$RUN" ] || { stop_writers; empty_containerd; }
  ! node_runs || kill -9 "$(anchor)"
  empty_cgroups
  remove_network
  [ ! -e "$RUN/sysctls" ] || sysctl -qp "$RUN/sysctls"
  rmdir /run/containerd/s "${NODE_DIRS[@]}" 2>/dev/null || true    # only if empty, because another runtime may use them
  rm -rf /run/sluice.buildah "$STATE"/{pki,log.last,etcd,kubelet,ipam,opt,cni,dirs,pod-logs,settings,install,volume-plugins,resolv.conf}
  [ ! -d "$STATE/log" ] || mv "$STATE/log" "$STATE/log.last"
  rm -rf "$RUN"                              # last: while it exists, an interrupted end is continued
}

stop_writers() { # the programs that would start containers again while these are being removed
  local name
  node_runs || return 0
  for name in kubelet kube-proxy controller-manager scheduler api-server etcd; do
    ! alive "$name" || in_node sh -c 'read -r pid start <"$1"; kill -9 "$pid"' sh "$RUN/pids/$name" || true
  done
}

# Containers are removed by containerd, so that its image store stays usable. If that fails, the store is removed, too.
empty_containerd() {
  local containerd=
  [ -e "$STATE/settings/containerd.toml" ] || return 0       # never started, or already empty after an interrupted end
  if node_runs; then
    alive containerd || start containerd "$STATE/bin/node/containerd" -c "$STATE/settings/containerd.toml" || true
  else
    start_containerd_alone & containerd=$!
  fi
  if (until_true "containerd answers" 10 ctr version) 2>/dev/null; then
    ctr tasks ls -q | xargs -r -P8 -I{} timeout 10 "$STATE/bin/node/ctr" -a "$RUN/containerd.sock" -n k8s.io tasks rm -f {} || true
    ctr containers ls -q | xargs -r timeout 20 "$STATE/bin/node/ctr" -a "$RUN/containerd.sock" -n k8s.io containers rm || true
  else
    rm -rf "$STATE/containerd"
  fi >/dev/null 2>&1
  [ -z "$containerd" ] || { kill -9 "$containerd"; wait "$containerd"; } 2>/dev/null || true
}

start_containerd_alone() { # --kill-child: it ends with its parent
  exec unshare --mount --pid --fork --kill-child --mount-proc sh -c 'mount -t tmpfs tmpfs /run/containerd && exec "$@"' sh \
    env PATH="$STATE/bin/node:$PATH" "$STATE/bin/node/containerd" -c "$STATE/settings/containerd.toml" \
    >>"$STATE/log/containerd.log" 2>&1 </dev/null
}

empty_cgroups() {
  local left root
  for _ in $(seq 100); do                    # pods are in the PID namespace, too: this waits for processes that are still ending
    left=$(for root in $(cgroup_roots); do find "$root/$CGROUP" -name cgroup.procs -exec cat {} + 2>/dev/null || true; done | sort -u)
    [ -n "$left" ] || break
    # shellcheck disable=SC2086
    kill -9 $left 2>/dev/null || true
    sleep 0.1
  done
  for root in $(cgroup_roots); do find "$root/$CGROUP" -depth -type d -exec rmdir {} \; 2>/dev/null || true; done
}

remove_network() {
  local net
  for _ in $(seq 50); do
    ip link show "$NAME-h" >/dev/null 2>&1 || break
    ip link del "$NAME-h" 2>/dev/null || sleep 0.1
  done
  for net in "$SERVICE_NET" "$POD_NET" "$NODE_NET"; do ip route del unreachable "$net" metric 9999 2>/dev/null || true; done
}
