#!/usr/bin/env bash
# check-repro.sh [BOARD] [--all]
#
# Build a board's image twice from the same keys, the second time from a copy of this tree in another
# folder, with a cache of its own and younger files, and compare every byte of every product.
#
#   --all         compile the kernel twice as well; otherwise the second build takes the first's
#   --no-install  name missing packages instead of installing them

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

board=qemu-q35 all=no
while [ "$#" -gt 0 ]; do
    case $1 in
    --all) all=yes && shift ;;
    --no-install) export INSTALL=no && shift ;;
    -h | --help) usage && exit ;;
    -*) unknown_option "$1" ;;
    *) board=$1 && shift ;;
    esac
done
board_load "$board"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
inputs=(--key "$work/user.pub" --host-key "$work/host" --hostname repro)
for name in user host; do ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$work/$name"; done
if [ -e "$ROOT/boards/$board/blobs.list" ]; then inputs+=(--stand-ins); fi

export CPUD_COMMIT=repro CPUD_COMMIT_TIME=1735689600 # the copy has no history

say "first build, here"
run build-image.sh "$board" "${inputs[@]}" --out "$work/first"

say "second build, elsewhere"
elsewhere=$work/"a folder of another's, with another name"
mkdir -p "$elsewhere" "$work/cache/cpud"
# Uncommitted changes are part of the copy.
(cd "$ROOT" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$elsewhere")
ln -s "$CACHE/sources" "$work/cache/cpud/sources"
[ $all = yes ] || ln -s "$CACHE/kernel" "$work/cache/cpud/kernel"
XDG_CACHE_HOME=$work/cache "$elsewhere/scripts/build-image.sh" "$board" "${inputs[@]}" --out "$work/second" || exit 1

products=("$board.rom" "$KERNEL" initramfs.cpio.xz cpud host_key.pub sizes.txt layout.txt hashes.txt sbom.spdx.json)
[ -z "${BOARD[devicetree]:-}" ] || products+=(machine.dtb)
different=()
for product in "${products[@]}"; do
    cmp "$work/first/$product" "$work/second/$product" || different+=("$product")
done
[ "${#different[@]}" -eq 0 ] || die "not the same: ${different[*]}"
say "the same: ${products[*]}"
