#!/bin/bash
# base-image.sh OUT.tar NAME:TAG PACKAGES: Debian's Python 3.11 as an image, from Debian packages alone.
# A virtual environment comes first in PATH, so a Dockerfile written for python:3.11-slim works on it unchanged.
set -euo pipefail
out=$1 image=$2 packages=$3
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "$(dirname "$out")/.base.XXXX"); trap 'rm -rf "$work"' EXIT
sources=/etc/apt/sources.list.d/debian.sources; [ -e "$sources" ] || sources=/etc/apt/sources.list

unneeded=(doc man locale info lintian)
exclude=(); for folder in "${unneeded[@]}"; do exclude+=(--dpkgopt="path-exclude=/usr/share/$folder/*"); done
TMPDIR=$work mmdebstrap --quiet --variant=minbase --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --include="$packages" \
  "${exclude[@]}" \
  --customize-hook='chroot "$1" python3 -m venv /opt/py' \
  --customize-hook='rm -rf "$1"/etc/apt/sources.list* "$1"/etc/hostname "$1"/var/log/*.log "$1"/var/cache/* "$1"/var/lib/apt/lists/*' \
  --customize-hook=': > "$1"/etc/resolv.conf' \
  bookworm "$work/rootfs.tar" "$sources" >"$work/log" 2>&1 || { tail -20 "$work/log" >&2; exit 1; }
python3 "$here/oci_archive.py" --env PATH=/opt/py/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
  --env LANG=C.UTF-8 "$work/rootfs.tar" "$out" "$image" python3
