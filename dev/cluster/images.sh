# Makes the images of the cluster without a registry and without a container engine. Each is an archive in the cache.
# Its name has a hash of its inputs, so only changed images are made again. Sourced after image-inputs.sh.

KEPT_ARCHIVES=2      # of each image, so that switching between two states of the sources needs no build

archive() { echo "$CACHE/images/$1-$2.tar"; }      # archive NAME KEY

# one_file_image OUT NAME:TAG PROGRAM USER [ARGUMENT...]: an image around one static program
one_file_image() {
  local out=$1 image=$2 program=$3 user=$4 work; shift 4
  work=$(mktemp -d "$CACHE/images/.tmp.XXXX")
  mkdir -p "$work"/root/{etc,tmp}; chmod 1777 "$work/root/tmp"
  install -m 755 "$program" "$work/root/"
  printf 'root:x:0:0::/:/none\nnobody:x:65534:65534::/:/none\n' > "$work/root/etc/passwd"
  tar -C "$work/root" --owner=0 --group=0 --sort=name --mtime=@0 -cf "$work/rootfs.tar" .
  python3 "$HERE/oci_archive.py" --user "$user" "$work/rootfs.tar" "$out" "$image" "/$(basename "$program")" "$@"
  rm -r "$work"
}

# RUN steps use a chroot and the network of this machine. In a new mount namespace, so that no mount stays.
in_buildah() {
  STORAGE_DRIVER=${STORAGE_DRIVER:-overlay} TMPDIR=$CACHE/images unshare --mount \
    buildah --root "$CACHE/buildah" --runroot /run/sluice.buildah "$@"
}

store_base() { # puts the Python image into buildah's store, under a name that has its key
  local key base
  key=$(image_key python) base=$PYTHON_IMAGE-$key
  ensure_image python "$key"
  in_buildah inspect --type image "$base" >/dev/null 2>&1 || {
    rm -rf "$CACHE/buildah"                  # all its layers are for another base and would only fill the disk
    in_buildah tag "$(in_buildah pull -q "oci-archive:$(archive python "$key")")" "$base"
  }
}

# faulty_image OUT NAME:TAG: the server's image and one module
faulty_image() {
  local key server
  key=$(image_key server) server=$(image_name server)-$key
  ensure_image server "$key"
  store_base
  in_buildah inspect --type image "$server" >/dev/null 2>&1 ||
    in_buildah tag "$(in_buildah pull -q "docker-archive:$(archive server "$key")")" "$server"
  dockerfile_image "$1" "$2" "$(dockerfile faulty)" faulty --build-arg "SERVER_IMAGE=$server"
}

RUNTIME_LIBRARIES="lightgbm, obstore, onnxruntime, sklearn, xgboost"   # imported when a model needs one

# dockerfile_image OUT NAME:TAG DOCKERFILE MODULES [buildah argument...]: the modules must be importable in the image
dockerfile_image() {
  local out=$1 image=$2 file=$3 modules=$4 settings log built=; shift 4
  settings=$(mktemp "$CACHE/images/.tmp.XXXX") log=$CACHE/images/build.log
  store_base
  pip_settings >"$settings"
  in_buildah bud --isolation chroot --network host --layers --pull-never \
      --build-arg "PYTHON_IMAGE=$PYTHON_IMAGE-$(image_key python)" \
      --secret "id=pip,src=$settings" --secret "id=ca,src=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" \
      --ignorefile "$ROOT/.dockerignore" -f "$ROOT/$file" -t "$image" "$@" "$ROOT" >"$log" 2>&1 && built=yes
  rm "$settings"                             # it may contain the password of an index
  [ "$built" ] ||
    { tail -40 "$log" >&2; die "the build of $image failed (above: its end; the whole of it: $log)"; }
  smoke_test "$image" python -c "import $modules"
  in_buildah push -q "$image" "docker-archive:$out.partial:$image"    # layers stay uncompressed: three times as fast
  mv "$out.partial" "$out"
}

# smoke_test NAME:TAG COMMAND...: checks that the command works as in a pod of this image (see smoke.sh)
smoke_test() {
  local image=$1; shift
  unshare --mount bash -euc '
    buildah=(buildah --storage-driver overlay --root "$1" --runroot /run/sluice.buildah) image=$2 smoke=$3; shift 3
    container=$("${buildah[@]}" from --pull-never "$image")
    trap "\"\${buildah[@]}\" rm $container >/dev/null" EXIT
    bash "$smoke" "$("${buildah[@]}" mount "$container")" "$@" >/dev/null
    ' bash "$CACHE/buildah" "$image" "$HERE/smoke.sh" "$@" ||
    die "the image $image does not work as user 10001 on a read-only root (see above)"
}

# ensure_image NAME KEY [WHAT]: makes the archive, unless it exists
ensure_image() {
  local out image what=${3:-image $1} began=$SECONDS
  out=$(archive "$1" "$2") image=$(image_name "$1")
  [ ! -e "$out" ] || return 0
  log "$what: making $image"
  case $1 in
    pause) one_file_image "$out" "$image" /usr/bin/catatonit 65535 -P ;;
    coredns | prometheus) one_file_image "$out" "$image" "$(binaries "$1")/$1" 65534 ;;
    traefik) fetch_traefik; one_file_image "$out" "$TRAEFIK_IMAGE" "$(binaries traefik)/traefik" 65534 ;;
    python) bash "$HERE/base-image.sh" "$out" "$image" "$BASE_PACKAGES" ;;
    faulty) faulty_image "$out" "$image" ;;
    mlflow) dockerfile_image "$out" "$image" trainer/Dockerfile mlflow.cli --target mlflow ;;
    server) dockerfile_image "$out" "$image" "$(dockerfile "$1")" "sluice_server.__main__, $RUNTIME_LIBRARIES" \
         --build-arg "VERSION=$(image_version "$2")" ;;
    server-pyfunc) dockerfile_image "$out" "$image" "$(dockerfile "$1")" "mlflow.pyfunc, $RUNTIME_LIBRARIES" \
         --target pyfunc --build-arg "VERSION=$(image_version "$2")" ;;
    *) dockerfile_image "$out" "$image" "$(dockerfile "$1")" "sluice_$1.__main__" \
         --build-arg "VERSION=$(image_version "$2")" ;;
  esac
  forget_old_archives "$1"
  log "$what: made in $((SECONDS - began)) s, $(($(stat -c %s "$out") / 1000000)) MB"
}

forget_old_archives() {
  local old
  mapfile -t old < <(find "$CACHE/images" -name "$1-*.tar" -printf '%T@ %p\n' | sort -rn | cut -d' ' -f2- | tail -n +$((KEPT_ARCHIVES + 1)))
  [ ${#old[@]} -eq 0 ] || rm "${old[@]}"
}

# ensure_images NAME...: makes missing images. If a node runs, imports new images there. Each key is computed once:
# sources that change in the meantime are for the next call.
ensure_images() {
  local name key i=0
  for name; do
    i=$((i + 1)) key=$(image_key "$name")
    ensure_image "$name" "$key" "image $i of $#, $name"
    ! node_runs || import_image "$name" "$key"
  done
}

# import_image NAME KEY: imports the image, unless the image store has it. A file next to the store has the key, because
# the store outlives the node.
import_image() {
  [ "$(loaded_key "$1")" != "$2" ] || return 0
  log "image $1: importing"
  ctr images import "$(archive "$1" "$2")" >/dev/null 2>"$STATE/log/import.log" || { cat "$STATE/log/import.log" >&2; return 1; }
  echo "$2" >"$STATE/containerd/imported-$1"
}

loaded_key() { cat "$STATE/containerd/imported-$1" 2>/dev/null || true; }
