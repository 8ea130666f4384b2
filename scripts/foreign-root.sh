#!/usr/bin/env bash
# foreign-root.sh --out DIR [--arch ARCH] [PACKAGE...]
#
# Unpack Debian packages of another architecture, with all their dependencies, into DIR, and print the
# value of cpu's -namespace that gives them to a session. Nothing that is installed on this machine
# changes, and root is not needed.
#
#   --out DIR     where to; a DIR that has these packages already is left as it is
#   --arch ARCH   aarch64 (default) or x86_64
#   PACKAGE...    default: bash busybox-static coreutils python3-minimal

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

arch=aarch64 out='' packages=()
while [ "$#" -gt 0 ]; do
    case $1 in
    --out) need_value "$@" && out=$2 && shift 2 ;;
    --arch) need_value "$@" && arch=$2 && shift 2 ;;
    -h | --help) usage && exit ;;
    -*) unknown_option "$1" ;;
    *) packages+=("$1") && shift ;;
    esac
done
[ -n "$out" ] || die "--out DIR is missing"
[ "${#packages[@]}" -gt 0 ] || packages=(bash busybox-static coreutils python3-minimal)
case $arch in
aarch64) debian=arm64 ;;
x86_64) debian=amd64 ;;
*) die "no such architecture: $arch (there are: aarch64 x86_64)" ;;
esac

# apt ARGUMENT...: runs apt-get for that architecture, as if nothing were installed.
private=$CACHE/apt-$debian
apt() {
    apt-get -q -o APT::Architecture="$debian" -o APT::Architectures::="$debian" -o APT::Sandbox::User="$(id -un)" \
        -o Dir::State="$private/state" -o Dir::State::status=/dev/null -o Dir::Cache="$private/cache" "$@"
}

# fetch_and_unpack: fills DIR.part, and renames it to DIR when it is complete.
fetch_and_unpack() {
    exclusively "apt-$debian"
    mkdir -p "$private/state/lists/partial" "$private/cache/archives/partial"
    find "$private/cache/archives" -name '*.deb' -delete
    say "fetching for $debian: ${packages[*]}"
    logged "$CACHE/logs/apt-$debian-update.log" "apt-get update" apt update
    logged "$CACHE/logs/apt-$debian.log" "apt-get install" \
        apt -y --no-install-recommends --download-only install "${packages[@]}"

    rm -rf "$out.part"
    mkdir -p "$out.part"
    local deb
    for deb in "$private"/cache/archives/*.deb; do
        dpkg-deb -x "$deb" "$out.part"
    done
    # The links that dash's and busybox's scripts make on installation.
    [ -e "$out.part/bin/sh" ] || ln -s bash "$out.part/bin/sh"
    printf '%s\n' "$arch" "${packages[@]}" >"$out.part/.packages"
    rm -rf "$out"
    mv "$out.part" "$out"
}

mkdir -p "$out"
[ -e "$out/.packages" ] || [ -z "$(ls -A "$out")" ] || die "$out holds other things; name an empty folder"
out=$(cd "$out" && pwd)
[ "$(cat "$out/.packages" 2>/dev/null)" = "$(printf '%s\n' "$arch" "${packages[@]}")" ] || fetch_and_unpack

for folder in lib lib64 usr bin sbin; do
    [ ! -e "$out/$folder" ] || printf '/%s=%s:' "$folder" "$out/$folder"
done
printf '/etc:/home\n'
