# The node: PID, mount, network and UTS namespaces that one anchor process keeps open. When the anchor ends, the kernel
# ends all processes of the cluster, with the pods, and removes mounts and links. Sourced after config.sh.

# Fixed paths that the programs of the node write to. Inside of the node they are folders of this cluster.
NODE_DIRS=(/run/containerd /var/lib/cni /var/log/containers)
# The kubelet changes these for the whole machine. They are restored when the cluster ends.
KUBELET_SYSCTLS=(vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes)

# started PID: the start time of the process, in clock ticks since boot. Pid and start time identify a process.
started() { awk '{print $22}' "/proc/$1/stat" 2>/dev/null; }

anchor() { # prints the pid of the anchor, if that process is still the one that was started here
  local pid start
  read -r pid start 2>/dev/null <"$RUN/anchor" || return 1
  [ "$(started "$pid")" = "$start" ] && echo "$pid"
}
node_runs() { in_node true 2>/dev/null; }      # a killed anchor exists a little longer, but cannot be entered

in_node() {
  local pid; pid=$(anchor) || return 1
  nsenter -t "$pid" -m -n -p -u -- "$@"
}

# Pid files have pid and start time inside of the node's PID namespace, so an old one cannot name another process.
alive() {
  in_node sh -c 'read -r pid start <"$1" && [ "$(awk "{print \$22}" /proc/$pid/stat)" = "$start" ]' sh "$RUN/pids/$1" 2>/dev/null
}

# start NAME COMMAND...: starts it in the node, unless it runs already
start() {
  local name=$1; shift
  ! alive "$name" || return 0
  log "node: starting $name"
  in_node env PATH="$STATE/bin/node:$STATE/bin/kubernetes:$PATH" sh -c 'pids=$1 log=$2; shift 2; setsid "$@" >>"$log" 2>&1 </dev/null &
    echo $! $(awk "{print \$22}" /proc/$!/stat) >"$pids"' sh "$RUN/pids/$name" "$STATE/log/$name.log" "$@"
}

make_node() {
  mkdir -p "$RUN/pids" "$STATE"/{pki,log,cni}
  save_sysctls
  make_fallback_routes
  make_cgroups
  start_anchor
  connect_node
  log "node: namespaces made"
}

save_sysctls() {
  local key
  for key in "${KUBELET_SYSCTLS[@]}"; do echo "$key=$(sysctl -n "$key")"; done >"$RUN/sysctls"
}

# While the link to the node is missing, packets for its networks are refused here and do not leave the machine.
make_fallback_routes() {
  local net
  for net in "$SERVICE_NET" "$POD_NET" "$NODE_NET"; do ip route replace unreachable "$net" metric 9999; done
}

# cgroup_roots: all hierarchies (cgroup v1), or the only one (v2)
cgroup_roots() {
  local root
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo /sys/fs/cgroup; return; fi
  for root in /sys/fs/cgroup/*; do [ ! -e "$root/cgroup.procs" ] || echo "$root"; done
}

make_cgroups() {
  local root file
  for root in $(cgroup_roots); do
    # v2: children only have the controllers that the root enables for them
    [ ! -e "$root/cgroup.controllers" ] || sed 's/\<./+&/g' "$root/cgroup.controllers" >"$root/cgroup.subtree_control" || true
    mkdir -p "$root/$CGROUP"
    for file in cpuset.cpus cpuset.mems; do          # v1: they are empty at first
      if [ -e "$root/$CGROUP/$file" ] && [ -z "$(cat "$root/$CGROUP/$file")" ]; then cat "$root/$file" >"$root/$CGROUP/$file"; fi
    done
  done
}

# The procfs of the machine shows the pid of the anchor there. It is read first; then the node gets its own /proc.
start_anchor() {
  local dir
  for dir in "${NODE_DIRS[@]}"; do mkdir -p "$dir" "$STATE/dirs$dir"; done
  setsid unshare --mount --net --pid --uts --fork sh -euc '
    run=$1 dirs=$2; shift 2
    for dir; do mount --bind "$dirs$dir" "$dir"; done
    read -r stat </proc/self/stat; set -- $stat; pid=$1; shift 21; start=$1
    mount --make-rshared /; mount -t proc proc /proc; hostname node1
    echo "$pid $start" >"$run/anchor.new"; mv "$run/anchor.new" "$run/anchor"
    exec catatonit -P' sh "$RUN" "$STATE/dirs" "${NODE_DIRS[@]}" </dev/null >"$STATE/log/anchor.log" 2>&1 &
  until_true "anchor alive" 5 node_runs
}

# There is no default route on purpose: node and pods only reach each other and this machine. (The route of the node to
# the services only has to exist, because kube-proxy's rules rewrite the destination.)
connect_node() {
  ip link add "$NAME-h" type veth peer name eth0 netns "$(anchor)"
  ip addr add "$HOST_IP/24" dev "$NAME-h"; ip link set "$NAME-h" up
  in_node sh -euc "ip link set lo up; ip addr add $NODE_IP/24 dev eth0; ip link set eth0 up; ip route add $SERVICE_NET via $HOST_IP
    sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.route_localnet=1"
  ip route add "$SERVICE_NET" via "$NODE_IP"; ip route add "$POD_NET" via "$NODE_IP"
}

# An interrupted start after the anchor has no route.
node_connected() { ip route show "$POD_NET" | found " via $NODE_IP "; }

# until_true WHAT SECONDS COMMAND...: waits until the command succeeds; an error after so many seconds
until_true() {
  local what=$1 deadline=$((SECONDS + $2)); shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -le $deadline ] || die "not reached: $what (logs: $STATE/log)"
    sleep 0.1
  done
}
