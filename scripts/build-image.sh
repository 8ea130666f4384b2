#!/usr/bin/env bash
# build-image.sh [BOARD] [options]
#
# Build a board's image into out/BOARD: BOARD.rom, its parts (the kernel, initramfs.cpio.xz, cpud,
# keys.txt, host_key.pub), and reports about it (sizes.txt, hashes.txt, layout.txt, sbom.spdx.json).
# Unchanged parts are not built again, and settings in BOARD.rom stay.
#
#   BOARD            a folder of boards/ (default qemu-q35)
#   --key FILE       a public key that may log in (any number of times); without it
#                    ~/.ssh/cpu_rsa.pub, ~/.ssh/id_ed25519.pub, or a pair made in the out folder
#   --host-key FILE  the machine's own key; without it one is made in the out folder and kept
#   --bare           neither is built in: scripts/settings.sh writes them into each ROM
#   --hostname NAME  of the machine, unless its settings say otherwise
#   --cmdline TEXT   the kernel's command line instead of the board's
#   --blobs DIR, --stand-ins, --base ROM, --replace
#                    for boards with files of a vendor: see build-rom.sh --help and the board's README
#   --nfs            with the kernel's NFS client, for the stock client's -nfs
#   --no-rom         only the parts, for a direct boot in QEMU
#   --out DIR        instead of out/BOARD
#   --no-install     name missing packages instead of installing them

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=rom.sh
. "$ROOT/scripts/rom.sh"

board='' keys=() host_key='' out='' hostname='' cmdline='' init_options=() rom_options=() coreboot=() with_rom=yes
while [ "$#" -gt 0 ]; do
    case $1 in
    --key) need_value "$@" && keys+=("$2") && shift 2 ;;
    --host-key) need_value "$@" && host_key=$2 && init_options+=("$1" "$2") && shift 2 ;;
    --bare) init_options+=("$1") && shift ;;
    --hostname) need_value "$@" && hostname=$2 && shift 2 ;;
    --cmdline) need_value "$@" && cmdline=$2 && shift 2 ;;
    --blobs) need_value "$@" && coreboot+=("$1" "$2") && shift 2 ;;
    --stand-ins) coreboot+=("$1") && shift ;;
    --base) need_value "$@" && rom_options+=("$1" "$2") && shift 2 ;;
    --replace) rom_options+=("$1") && shift ;;
    --nfs) export NFS=yes && shift ;;
    --no-rom) with_rom=no && shift ;;
    --out) need_value "$@" && out=$2 && shift 2 ;;
    --no-install) export INSTALL=no && shift ;;
    -h | --help) usage && exit ;;
    -*) unknown_option "$1" ;;
    *) [ -z "$board" ] || die "one board at a time" && board=$1 && shift ;;
    esac
done
board=${board:-qemu-q35}
board_load "$board"
# shellcheck disable=SC2046 # words
need_packages $(packages_for_image)
[[ $hostname =~ ^[A-Za-z0-9.-]{0,63}$ ]] || die "--hostname $hostname is no host name"
cmdline="${cmdline:-${BOARD[cmdline]}}${hostname:+ hostname=$hostname}"
out=$(realpath -m "${out:-$ROOT/out/$board}")
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -z "$host_key" ] || public_host_key "$host_key" >/dev/null
cpud_check --cmdline "$cmdline"

# default_key: prints a key that users of cpu or ssh have already, else makes a pair.
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
case " ${init_options[*]} " in
*' --bare '*) [ "${#keys[@]}" -eq 0 ] || die "--bare and --key exclude each other" ;;
*)
    [ "${#keys[@]}" -gt 0 ] || keys=("$(default_key)")
    for key in "${keys[@]}"; do
        public_keys "$key" >/dev/null # now, not after a kernel
        init_options+=(--key "$key")
    done
    realpath -s "${keys[@]}" >"$out/keys.txt" # whoever prints what to type names the first
    ;;
esac

# Settings in the ROM that this one replaces belong to the box, and are kept.
rom=$out/$board.rom
: >"$work/kept"
if [ $with_rom = yes ] && [ -e "$rom" ] && has_settings "$rom"; then
    (check_settings "$rom") || die "$rom has settings that are no longer valid; settings.sh $rom --clear --nobody drops them"
    settings_text "$rom" >"$work/kept"
fi

part_sizes() {
    within cpud "$(bytes_of "$out/cpud")" "${BOARD[max_cpud]}"
    within initramfs.cpio.xz "$(bytes_of "$out/initramfs.cpio.xz")" "${BOARD[max_initramfs]}"
    within "$KERNEL" "$(bytes_of "$out/$KERNEL")" "${BOARD[max_kernel]}"
}

# Files that the user must supply are checked before anything that takes long.
other=()
if [[ ${rom_options[*]} == *--base* ]]; then
    other=(--other-coreboot)
elif [ $with_rom = yes ]; then
    folder=$(run build-coreboot.sh --board "$board" "${coreboot[@]}") || exit 1
    # Otherwise each call of its cbfstool would compile that tree again.
    [ -z "${COREBOOT_SRC:-}" ] || { export CBFSTOOL=$folder/cbfstool && other=(--other-coreboot); }
fi
run build-cpud.sh --arch "${BOARD[arch]}" --out "$out/cpud" >/dev/null
run build-kernel.sh --board "$board" --out "$out/$KERNEL" >/dev/null
run build-initramfs.sh --arch "${BOARD[arch]}" --out "$out" "${init_options[@]}" >/dev/null
if [ $with_rom = no ]; then
    part_sizes >"$out/sizes.txt"
    exit
fi
run build-rom.sh --board "$board" --kernel "$out/$KERNEL" --initramfs "$out/initramfs.cpio.xz" \
    ${BOARD[devicetree]:+--dtb "$out/machine.dtb"} --cmdline "$cmdline" --out "$work/built.rom" "${coreboot[@]}" "${rom_options[@]}"
if [ -s "$work/kept" ]; then
    say "keeping the settings of $rom: $(cut -d' ' -f1 "$work/kept" | uniq | paste -sd' ')"
    put_settings "$work/built.rom" "$work/kept"
    mv "$work/rom" "$work/built.rom"
    chmod 600 "$work/built.rom"
fi
put "$work/built.rom" "$rom"

# --- reports --------------------------------------------------------------------------------------

free=$(free_bytes "$rom")
{
    part_sizes
    within "$board.rom" "$((BOARD[rom_size] - free))" "${BOARD[max_rom]}"
} >"$out/sizes.txt"
{
    printf 'Areas of the flash part (name, offset, bytes)\n\n'
    flash_map "$rom" | awk '{ printf "%-24s %#10x %9d\n", $1, $2, $3 }'
    printf '\nFiles in COREBOOT (name, offset, bytes with their heads, type)\n\n'
    cbfs_files "$rom" | awk '{ printf "%-24s %#10x %9d  %s\n", $1, $2, $3, $4 }'
    printf '\nnot used: %d of %d bytes\n' "$free" "${BOARD[rom_size]}"
} >"$out/layout.txt"
run build-sbom.sh --board "$board" --out "$out" "${other[@]}"
{
    (cd "$out" && sha256sum "$board.rom" "$KERNEL" initramfs.cpio.xz cpud sbom.spdx.json)
    printf '%s  fallback/payload\n' "$(payload_hash "$rom")"
} >"$out/hashes.txt"

say "$(tail -n 1 "$out/sizes.txt")"
case " ${coreboot[*]} " in
*' --stand-ins '*) say "$rom is built, to look at: zeroes stand in for the vendor's files" ;;
*) say "$rom is built${BOARD[flash]:+; to flash it: scripts/flash.sh $board HOST}" ;;
esac
