#!/usr/bin/env bash
# foreign-source.sh --out DIR PACKAGE PATH...
#
# Unpack PATHs of a Debian package's sources, of this machine's release, into DIR, for tests that are in sources only.
#
#   --out DIR  where to; a DIR that has these already is left as it is

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

out='' words=()
while [ "$#" -gt 0 ]; do
    case $1 in
    --out) need_value "$@" && out=$2 && shift 2 ;;
    -h | --help) usage && exit ;;
    -*) unknown_option "$1" ;;
    *) words+=("$1") && shift ;;
    esac
done
[ -n "$out" ] || die "--out DIR is missing"
out=$(realpath -m "$out")
[ "${#words[@]}" -gt 1 ] || die "a PACKAGE and a PATH of it are missing"
[ "$(cat "$out/.words" 2>/dev/null)" != "${words[*]}" ] || exit 0
[ "$INSTALL" = yes ] || die "missing: the sources of ${words[0]}"

need_packages dpkg-dev xz-utils
mkdir -p "$CACHE/logs"
files=$(pinned_source "${words[0]}" "$(debian_codename)") || exit 1
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
logged "$CACHE/logs/${words[0]}-unpack.log" "unpacking ${words[0]}" \
    dpkg-source --require-strong-checksums -x "$files"/*.dsc "$tree/all"
mkdir -p "$out"
(cd "$tree/all" && cp -R --parents "${words[@]:1}" "$out")
printf '%s\n' "${words[*]}" >"$out/.words"
