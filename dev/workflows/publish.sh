#!/usr/bin/env bash
# publish.sh VERSION CHART: builds the images of a release, pushes them and the packaged chart to $REGISTRY, and signs all
# of them by digest. Each image has labels that say what it was made from, an SBOM of all that is in it, and its
# provenance. Needs docker with buildx, helm and cosign, which are logged in.
set -euo pipefail
version=${1:?the version, such as 0.2.0} chart=$(realpath "${2:?the packaged chart}")
registry=${REGISTRY:?such as registry.example.com/team}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. dev/workflows/images.sh
revision=$(git rev-parse HEAD) created=$(git log -1 --format=%cI)
labels=(--label "org.opencontainers.image.revision=$revision" --label "org.opencontainers.image.created=$created")
[ -z "${SOURCE_URL:-}" ] || labels+=(--label "org.opencontainers.image.source=$SOURCE_URL")
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT

# image NAME DOCKERFILE [OPTION...]
image() {
  local name=$1 file=$2 digest; shift 2
  docker buildx build --push --sbom=true --provenance=mode=max --platform "${PLATFORMS:-linux/amd64}" \
    --file "$file" --build-arg "VERSION=$version" --metadata-file "$folder/$name.json" \
    "${labels[@]}" --tag "$registry/$name:$version" "$@" .
  digest=$(sed -nE 's/.*"containerimage.digest": *"(sha256:[0-9a-f]{64})".*/\1/p' "$folder/$name.json")
  [ -n "$digest" ] || { echo "error: docker has told no digest of $name, which is not signed" >&2; exit 1; }
  cosign sign --yes "$registry/$name@$digest"
}

each_image image

digest=$(helm push "$chart" "oci://$registry/charts" 2>&1 | tee /dev/stderr | sed -nE 's/^Digest: *(sha256:[0-9a-f]{64})$/\1/p')
[ -n "$digest" ] || { echo "error: helm has told no digest of the chart, which is not signed" >&2; exit 1; }
cosign sign --yes "$registry/charts/sluice@$digest"
