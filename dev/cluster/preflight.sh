# Checks that the native cluster can run on this machine. If it cannot, prints one sentence and the command that helps.
# Installs the few Debian packages that are missing. Sourced after config.sh.

DEBIAN_PACKAGES=(buildah catatonit conntrack iptables iproute2 mmdebstrap nftables openssl procps runc)
MEMORY_NEEDED=4          # GB available: cluster and peers take 1.7, compiling Kubernetes 2
DISK_FOR_BUILDING=16     # GB: Go's caches 9.4, programs 0.8, images 2, image store 2
DISK_FOR_RUNNING=3

preflight() {
  check_machine
  check_go
  check_memory_and_disk
  install_packages
  check_addresses
  check_kernel
}

check_machine() {
  [ "$(uname -s)" = Linux ] || die "the native cluster needs Linux; elsewhere install a container engine and kind" "SLUICE_ENGINE=kind make cluster-up"
  [ "$(id -u)" = 0 ] || die "the native cluster makes namespaces, mounts and routes, so it must be started as root" "sudo -E make cluster-up"
  grep -q '^VERSION_CODENAME=bookworm' /etc/os-release ||
    die "the native cluster is made from Debian 12 (bookworm) packages; elsewhere install a container engine and kind" "SLUICE_ENGINE=kind make cluster-up"
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || die "python3 is missing or older than 3.11" "apt-get install python3 python3-pip"
  python3 -m pip --version >/dev/null 2>&1 || die "python3 has no pip" "apt-get install python3-pip"
}

check_memory_and_disk() {
  local memory disk needed=$DISK_FOR_BUILDING
  node_runs || {
    memory=$(awk '/^MemAvailable/ {print int($2 / 1000000)}' /proc/meminfo)
    [ "$memory" -ge $MEMORY_NEEDED ] || die "the cluster needs $MEMORY_NEEDED GB of free memory, here are $memory GB: end something else, or use a larger machine"
  }
  [ ! -d "$(binaries kubernetes)" ] || needed=$DISK_FOR_RUNNING
  disk=$(df --output=avail -k "$CACHE" | awk 'END {print int($1 / 1000000)}')
  [ "$disk" -ge "$needed" ] || die "the cluster needs $needed GB of free disk under $CACHE, there are $disk GB" "export XDG_CACHE_HOME=/a/larger/disk"
}

check_addresses() { # the networks of the cluster must not hide one that this machine uses
  local net
  node_runs || for net in "$SERVICE_NET" "$POD_NET" "$NODE_NET"; do
    ! { ip -4 route show root "$net"; ip -4 route show match "$net"; } | grep -vE '^(default|unreachable .* metric 9999)' | found . || [ -e "$RUN" ] ||
      die "$net is already routed on this machine" "export SLUICE_INDEX=1    # or another number up to 9"
  done
}

install_packages() {
  local package missing=()
  for package in "${DEBIAN_PACKAGES[@]}"; do dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  log "Debian packages: installing ${missing[*]}"
  apt-get update -q=2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -q=2 --no-install-recommends "${missing[@]}" >/dev/null ||
    die "installing Debian packages failed" "apt-get install ${missing[*]}"
}

check_kernel() {
  local controller
  unshare --mount --pid --net --fork ip link set lo up 2>/dev/null ||
    die "root may not make namespaces and links here: this is a container without the rights for it" "docker run --privileged --cgroupns=host ..."
  modprobe -qa overlay br_netfilter nf_tables veth 2>/dev/null || true    # they may be built in, or there are no modules: the checks below decide
  grep -qw overlay /proc/filesystems || die "this kernel has no overlayfs, which holds the images" "modprobe overlay"
  unshare --net ip link add probe0 type veth peer name probe1 2>/dev/null || die "this kernel has no veth links, which connect pods" "modprobe veth"
  unshare --net ip link add probe0 type bridge 2>/dev/null || die "this kernel has no bridges, which connect pods" "modprobe bridge"
  unshare --net nft 'add table ip probe; add chain ip probe c { type nat hook postrouting priority 100; }; add rule ip probe c masquerade' 2>/dev/null ||
    die "this kernel has no nftables with address translation, which carries services" "modprobe -a nf_tables nft_masq"
  for controller in cpu memory pids; do
    [ -d "/sys/fs/cgroup/$controller" ] || grep -qw "$controller" /sys/fs/cgroup/cgroup.controllers 2>/dev/null ||
      die "the cgroup controller '$controller' is not mounted under /sys/fs/cgroup" "mount -t cgroup2 none /sys/fs/cgroup"
  done
}
