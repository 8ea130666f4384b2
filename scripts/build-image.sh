#!/usr/bin/env bash
# build-image.sh [BOARD] [--key FILE]... [--out DIR] [--no-install]
#
# Build all parts of a board's image into out/BOARD: the kernel, cpud, initramfs.cpio.xz,
# authorized_keys, host_key.pub and sizes.txt. Nothing unchanged is built again.
#
#   BOARD         a folder of boards/ (default qemu-q35)
#   --key FILE    a public key that may log in (any number of times); without it
#                 ~/.ssh/cpu_rsa.pub, ~/.ssh/id_ed25519.pub, or a pair made in the out folder
#   --out DIR     instead of out/BOARD
#   --no-install  name missing packages instead of installing them

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

board='' keys=() out=''
while [ "$#" -gt 0 ]; do
    case $1 in
    --key) need_value "$@" && keys+=("$2") && shift 2 ;;
    --out) need_value "$@" && out=$2 && shift 2 ;;
    --no-install) export INSTALL=no && shift ;;
    -h | --help) usage && exit ;;
    -*) unknown_option "$1" ;;
    *) [ -z "$board" ] || die "one board at a time" && board=$1 && shift ;;
    esac
done
board=${board:-qemu-q35}
board_load "$board"
need_packages "${PACKAGES_FOR_CPUD[@]}" "${PACKAGES_FOR_KERNEL[@]}" "${PACKAGES_FOR_CROSS[@]}" \
    "${PACKAGES_FOR_INITRAMFS[@]}"
out=${out:-$ROOT/out/$board}
mkdir -p "$out"

# default_key: what a user of cpu or ssh has already, else a pair of the image's own.
default_key() {
    local key
    for key in "$HOME/.ssh/cpu_rsa.pub" "$HOME/.ssh/id_ed25519.pub"; do
        if [ -r "$key" ]; then
            echo "$key"
            return
        fi
    done
    if [ ! -e "$out/id_ed25519" ]; then
        say "no key in ~/.ssh and no --key: making $out/id_ed25519"
        ssh-keygen -q -t ed25519 -N '' -C "made for $board" -f "$out/id_ed25519"
    fi
    echo "$out/id_ed25519.pub"
}
[ "${#keys[@]}" -gt 0 ] || keys=("$(default_key)")
printf '%s\n' "${keys[@]}" >"$out/keys.txt" # whoever prints what to type names the first
key_options=()
for key in "${keys[@]}"; do key_options+=(--key "$key"); done

run build-cpud.sh --arch "${BOARD[arch]}" --out "$out/cpud" >/dev/null
run build-kernel.sh --board "$board" --out "$out/$KERNEL" >/dev/null
run build-initramfs.sh --arch "${BOARD[arch]}" --out "$out" "${key_options[@]}" >/dev/null

{
    within cpud "$(bytes_of "$out/cpud")" "${BOARD[max_cpud]}"
    within initramfs.cpio.xz "$(bytes_of "$out/initramfs.cpio.xz")" "${BOARD[max_initramfs]}"
    within "$KERNEL" "$(bytes_of "$out/$KERNEL")" "${BOARD[max_kernel]}"
} >"$out/sizes.txt"
say "$(grep initramfs "$out/sizes.txt")"
