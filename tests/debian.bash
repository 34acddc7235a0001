#!/bin/bash
# Sourced by what tests in a Debian of its own: makes one in a folder and runs commands there.
# All mounts are made in a namespace of our own, so that whatever happens none is left.

# enter ARGUMENTS: runs the script anew in that namespace, as root.
enter() {
  if ((EUID != 0)); then
    echo "$0: chroot needs root" >&2
    exit 1
  fi
  [[ ${VIRTGATE_NAMESPACE-} == mine ]] ||
    VIRTGATE_NAMESPACE=mine exec unshare --mount --propagation private "$0" "$@"
}

# make_debian SUITE FOLDER: one that is there already is used again. Packages come from where this
# machine's do.
make_debian() {
  local suite=$1 folder=$2 mirror
  if ! command -v debootstrap >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends debootstrap
  fi
  # shellcheck disable=SC2016  # apt's own variables
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
  if [[ -z $mirror ]]; then
    echo "$0: apt knows no archive of Debian; run apt-get update first" >&2
    return 1
  fi
  if [[ ! -e $folder/made ]]; then
    debootstrap --variant=minbase "$suite" "$folder" "$mirror"
    touch "$folder/made"
  fi
  mkdir -p "$folder/proc"
  mount -t proc proc "$folder/proc"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$folder/dev/pts"
}

# inside FOLDER COMMAND...
inside() {
  local folder=$1
  shift
  chroot "$folder" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

# forget FOLDER: the folder, and what is mounted there.
forget() {
  umount "$1/proc" "$1/dev/pts" 2>/dev/null || true
  rm -rf --one-file-system "$1"
}
