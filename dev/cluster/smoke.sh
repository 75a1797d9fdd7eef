#!/bin/bash
# smoke.sh ROOT_FOLDER COMMAND...: runs a command as in a pod of an image: user 10001, no network, and a read-only file
# system except /tmp. Refuses an image that has build tools. images.sh calls it in a new mount namespace.
set -euo pipefail
root=$1; shift
search=/opt/sluice/bin:/opt/py/bin:/usr/local/bin:/usr/bin:/bin
found=$(chroot "$root" /bin/sh -c "PATH=$search; for tool in pip gcc cc make; do command -v \$tool; done" || true)
[ -z "$found" ] || { echo "build tools inside the image: $found" >&2; exit 1; }
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs tmpfs "$root/tmp"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
unshare --net chroot --userspec=10001:10001 "$root" /usr/bin/env -i HOME=/tmp PYTHONDONTWRITEBYTECODE=1 \
  PATH=$search "$@"
umount --recursive "$root"
