# Builds the cluster's programs from Go modules. One folder under go/ is one group: its go.mod and go.sum pin everything.
# A group's outputs stand in a folder named after a hash of go.mod, go.sum, sources, flags and Go version, so nothing is
# built twice and two checkouts never disturb each other. A build that is cut off goes on from Go's own cache.
# Sourced after config.sh.

export CGO_ENABLED=0 GOWORK=off GOFLAGS="-mod=readonly -trimpath -buildvcs=false"

GROUPS_OF_NODE=(kubernetes node coredns prometheus)

# build_flags GROUP: the arguments of `go build`, one per line
build_flags() {
  local version minor meta=k8s.io/component-base/version strip="-ldflags=-s -w"
  case $1 in
    kubernetes) # without a version the API server calls itself v0.0.0-master, and features gated by version go wrong
      version=$(sed -nE 's#^\s*k8s.io/kubernetes (v[0-9.]+).*#\1#p' "$HERE/go/kubernetes/go.mod")
      minor=$(cut -d. -f2 <<<"$version")
      strip+=" -X $meta.gitVersion=$version -X $meta.gitMajor=1 -X $meta.gitMinor=$minor -X $meta.gitTreeState=clean"
      printf '%s\n' "$strip" tool ;;
    prometheus) # the one service discovery that is used: half the packages, half the size
      printf '%s\n' "-tags=remove_all_sd,enable_kubernetes_sd" "$strip" tool ;;
    coredns) printf '%s\n' "$strip" . ;;
    node) printf '%s\n' "$strip" tool ;;
  esac
}

# binaries GROUP: the folder that holds (or will hold) the group's programs
binaries() {
  echo "$CACHE/bin/$1-$(SALT="$(build_flags "$1") $(go_version) $GOFLAGS" hash_of "dev/cluster/go/$1")"
}

go_version() { (cd "$HERE/go/kubernetes" && go env GOVERSION GOARCH) | xargs; }

check_go() {
  local needed; needed=$(sed -nE 's/^go //p' "$HERE/go/kubernetes/go.mod")
  command -v go >/dev/null && go_version >/dev/null 2>&1 ||
    die "Go $needed or newer is needed to build Kubernetes ($(go version 2>/dev/null || echo 'go: not found'))" \
        "curl -fsSL https://go.dev/dl/go$needed.linux-$(dpkg --print-architecture).tar.gz | tar -C /usr/local -xz && export PATH=/usr/local/go/bin:\$PATH"
}

# compiled TOTAL WHAT: counts the package names that `go build -v` prints, and says every 15 s how far it is
compiled() {
  local count=0 next=$((SECONDS + 15))
  while read -r _; do
    count=$((count + 1))
    [ $SECONDS -lt $next ] && continue
    say "$2: $count of at most $1 packages compiled"; next=$((SECONDS + 15))
  done
}

# build_group GROUP WHAT: builds it unless it is there
build_group() {
  local out tmp total flags began=$SECONDS
  out=$(binaries "$1"); [ ! -d "$out" ] || return 0
  mapfile -t flags < <(build_flags "$1")
  say "$2: fetching Go modules"
  tmp=$(mktemp -d "$CACHE/bin/.$1.XXXX")
  total=$(cd "$HERE/go/$1" && go list -deps "${flags[@]}" 2>"$tmp/log" | wc -l) || { cat "$tmp/log" >&2; return 1; }
  mkdir "$tmp/out"
  if ! (cd "$HERE/go/$1" && go build -v -o "$tmp/out/" "${flags[@]}") 2> >(tee "$tmp/log" | compiled "$total" "$2"); then
    tail -20 "$tmp/log" >&2; rm -r "$tmp"; die "building $1 failed (above: the end of Go's output)"
  fi
  [ ! -e "$tmp/out/server" ] || mv "$tmp/out/server" "$tmp/out/etcd"   # Go names a program after its last path element
  mv "$tmp/out" "$out"; rm -r "$tmp"
  say "$2: built in $((SECONDS - began)) s"
}

build_binaries() {
  local group i=0
  for group in "${GROUPS_OF_NODE[@]}"; do
    i=$((i + 1)); build_group "$group" "programs $i of ${#GROUPS_OF_NODE[@]}, $group"
  done
}
