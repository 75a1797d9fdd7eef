# Names and inputs of the images, for the native cluster and for kind. Sourced after config.sh and binaries.sh.

BASE_PACKAGES=ca-certificates,python3-minimal,python3-venv,usr-is-merged   # with the last one, Perl is not needed
NODE_IMAGES=(pause coredns)
PEER_IMAGES=(traefik prometheus mlflow)

# image_key NAME: a hash of all inputs of the image
image_key() {
  case $1 in
    pause) SALT="$1 $(sha256sum </usr/bin/catatonit)" hash_of dev/cluster/oci_archive.py ;;
    coredns | prometheus) SALT="$1 $(binaries "$1")" hash_of dev/cluster/oci_archive.py ;;
    traefik) SALT=$1 hash_of dev/cluster/oci_archive.py dev/cluster/traefik.txt ;;
    python) SALT="$1 $BASE_PACKAGES" hash_of dev/cluster/oci_archive.py dev/cluster/base-image.sh ;;
    mlflow) SALT="$1 $(image_key python)" hash_of trainer/Dockerfile trainer/requirements.txt ;;
    faulty) SALT="$1 $(image_key server)" hash_of dev/bench/faulty ;;
    server-pyfunc) SALT="$1 $(image_key server)" hash_of Dockerfile.server ;;
    *) SALT="$1 $(image_key python)" hash_of "$(dockerfile "$1")" "$1" pyproject.toml README.md LICENSE \
         dev/requirements-build.txt ;;
  esac
}

image_name() {
  case $1 in
    pause | coredns | traefik | prometheus | mlflow | python) local of=${1^^}_IMAGE; echo "${!of}" ;;
    *) echo "registry.local/sluice-$1:dev" ;;
  esac
}

dockerfile() {
  case $1 in
    trainer) echo trainer/Dockerfile ;;
    faulty) echo dev/bench/faulty/Dockerfile ;;
    server-pyfunc) echo Dockerfile.server ;;
    *) echo "Dockerfile.$1" ;;
  esac
}

# image_version KEY: the version of the project and the key, for a label that identifies the sources
image_version() { echo "$(sed -nE 's/^version = "(.*)"/\1/p' "$ROOT/pyproject.toml")+$1"; }

# pip_settings: the package indexes of `pip config` on this machine, as a pip.conf
pip_settings() {
  echo "[global]"
  python3 -m pip config list 2>/dev/null |
    sed -nE "s/^(global|:env:)\.(index-url|extra-index-url|trusted-host|proxy|timeout|default-timeout)='(.*)'$/\2 = \3/p"
}
