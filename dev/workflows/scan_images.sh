#!/usr/bin/env bash
# scan_images.sh [ARCHIVE...]: asks Trivy for known vulnerabilities of all that is in the images: Debian's packages, and those
# of Python. Without archives (as of `docker save`), docker builds the images of a release first. It fails if an image has a
# vulnerability of $SEVERITY (HIGH,CRITICAL) that a newer package mends, or could not be scanned. Needs trivy, and the network
# for its database. $TRIVY_FLAGS go to it.
set -euo pipefail
archives=()
for archive; do archives+=("$(realpath "$archive")"); done
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. dev/workflows/images.sh
VULNERABLE=3 # an exit code that is no other failure of Trivy's
command -v trivy >/dev/null || { echo "error: trivy is not here: GOEXPERIMENT=jsonv2 go install github.com/aquasecurity/trivy/cmd/trivy@v0.74.0" >&2; exit 2; }

build() {
  local name=$1 file=$2; shift 2
  docker buildx build --file "$file" --output "type=docker,dest=$folder/$name.tar" --tag "$name:scanned" "$@" . ||
    { echo "error: $name was not built, and nothing was scanned" >&2; exit 2; }
  archives+=("$folder/$name.tar")
}
if [ ${#archives[@]} -eq 0 ]; then
  folder=$(mktemp -d)
  trap 'rm -r "$folder"' EXIT
  each_image build
fi

vulnerable=() failed=()
read -ra flags <<<"${TRIVY_FLAGS:-}"
for archive in "${archives[@]}"; do
  code=0
  trivy image --input "$archive" --scanners vuln --severity "${SEVERITY:-HIGH,CRITICAL}" --ignore-unfixed \
    --exit-code "$VULNERABLE" --no-progress "${flags[@]}" || code=$?
  case $code in
    0) ;;
    "$VULNERABLE") vulnerable+=("$(basename "$archive")") ;;
    *) failed+=("$(basename "$archive")") ;;
  esac
done
[ ${#failed[@]} -eq 0 ] || { echo "error: not scanned: ${failed[*]}" >&2; exit 2; }
[ ${#vulnerable[@]} -eq 0 ] ||
  { echo "error: a newer package mends what was found in ${vulnerable[*]}: make lock UPGRADE=--upgrade, or a newer base image" >&2; exit 1; }
echo "nothing was found in ${#archives[@]} images"
