#!/usr/bin/env bash
# A real container engine for tests, with a socket and data of its own, nothing of which the machine's engine sees.
#
#   engine.sh start FOLDER   starts dockerd (as root; VIBEKIT_TEST_ENGINE_ARGUMENTS are its own) and imports the image
#                            vibekit-test:1; prints the address for DOCKER_HOST
#   engine.sh stop FOLDER    ends it and removes its data
#   engine.sh image ADDRESS NAME PROGRAM…  makes an image of vibekit-test:1 and further programs of this machine
#
# Needs Debian's docker.io (`apt-get install --no-install-recommends docker.io`) and root. The image is made on the spot from
# programs of this machine, so nothing is fetched.
set -euo pipefail

command=${1:?start, stop or image}
folder=${2:?a folder}
socket=$folder/engine.sock
image=vibekit-test:1
basics=(dash bash cat chmod cksum cmp cp cut dd env false grep head id ln ls mkdir mktemp mv nproc perl printf pwd readlink rm sed
  seq setsid sleep sort stat tail test touch tr true wc)

refuse() {
  echo "The tests of the Docker provider need a container engine, and none can be started here: $1" >&2
  echo "Fix: $2" >&2
  exit 1
}

start() {
  [ "$(id -u)" = 0 ] || refuse "this is not root" "run them as root (sudo npm run test:providers)"
  command -v dockerd >/dev/null && command -v runc >/dev/null ||
    refuse "there is no dockerd" "apt-get install --yes --no-install-recommends docker.io"
  mkdir -p "$folder/data" "$folder/exec"
  # cgroupfs and vfs work wherever root does: in containers, without systemd, on any file system.
  local arguments=(
    --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/engine.pid" --host "unix://$socket"
    --storage-driver vfs --exec-opt native.cgroupdriver=cgroupfs
    --iptables=false --ip6tables=false --ip-masq=false
  )
  if [ "${VIBEKIT_TEST_ENGINE_BRIDGE:-}" = none ]; then
    # A bridge that is there belongs to another engine, which loses it to one that is told to have none.
    if [ -e /sys/class/net/docker0 ]; then arguments+=(--bridge docker0); else arguments+=(--bridge none); fi
  fi
  # shellcheck disable=SC2206
  arguments+=(${VIBEKIT_TEST_ENGINE_ARGUMENTS:-})
  dockerd "${arguments[@]}" </dev/null >"$folder/engine.log" 2>&1 &
  local pid=$!
  for _ in $(seq 300); do
    if DOCKER_HOST="unix://$socket" docker version >/dev/null 2>&1; then break; fi
    if ! kill -0 "$pid" 2>/dev/null; then
      tail -n 5 "$folder/engine.log" >&2
      refuse "dockerd ended" "see the lines above; in a container, run it with --privileged"
    fi
    sleep 0.1
  done
  DOCKER_HOST="unix://$socket" docker version >/dev/null 2>&1 || refuse "dockerd does not answer" "see $folder/engine.log"
  # The shell, the core utilities and Perl.
  import "unix://$socket" "$image" "${basics[@]}"
  echo "unix://$socket"
}

# An image of programs, with the libraries they are linked to: import ADDRESS NAME PROGRAM…
import() {
  local address=$1 name=$2 root program
  shift 2
  root=$(mktemp --directory)
  chmod 755 "$root"
  mkdir -p "$root"/{bin,etc,home,proc,root,sys,tmp,usr/bin,var}
  chmod 1777 "$root/tmp"
  printf 'root:x:0:0:root:/root:/bin/sh\n' >"$root/etc/passwd"
  printf 'root:x:0:\n' >"$root/etc/group"
  for program in "$@"; do
    program=$(type -P "$program") || continue
    cp -L "$program" "$root/usr/bin/"
    # Scripts and static programs have none.
    { ldd "$program" 2>/dev/null || true; } | { grep -o '/[^ ]*' || true; } | while read -r library; do
      mkdir -p "$root$(dirname "$library")"
      cp -Ln "$library" "$root$library" 2>/dev/null || true
    done
  done
  for program in "$root"/usr/bin/*; do ln -s "../usr/bin/$(basename "$program")" "$root/bin/"; done
  ln -sf dash "$root/usr/bin/sh" && ln -sf ../usr/bin/dash "$root/bin/sh"
  tar --create --directory "$root" . | DOCKER_HOST="$address" docker import - "$name" >/dev/null
  rm -rf "$root"
}

stop() {
  if [ -f "$folder/engine.pid" ]; then
    local pid containers
    pid=$(cat "$folder/engine.pid")
    containers=$(DOCKER_HOST="unix://$socket" docker ps --all --quiet 2>/dev/null) || true
    # shellcheck disable=SC2086
    [ -z "$containers" ] || DOCKER_HOST="unix://$socket" docker rm --force --volumes $containers >/dev/null 2>&1 || true
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 200); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -9 "$pid" 2>/dev/null || true
  fi
  # What an engine that was ended hard left mounted.
  { grep -o " $folder/[^ ]*" /proc/mounts || true; } | sort -r | while read -r mount; do umount -l "$mount" || true; done
  rm -rf "$folder"
}

case $command in
  start) start ;;
  stop) stop ;;
  image) import "$2" "$3" "${basics[@]}" "${@:4}" ;;
  *) echo "start, stop or image, not $command" >&2; exit 2 ;;
esac
