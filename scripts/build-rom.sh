#!/usr/bin/env bash
# build-rom.sh --kernel FILE --initramfs FILE --out ROM [options]
#
# Add a kernel and an initramfs to a board's coreboot as its payload. The same inputs give the same
# bytes; on an error, such as too little room, no ROM is left behind.
#
#   --board BOARD    a folder of boards/ (default qemu-q35)
#   --dtb FILE       the machine's device tree, for ARM boards without a machine.dts of their own
#   --cmdline TEXT   the kernel's command line instead of the board's
#   --blobs DIR      the vendor's files, for boards that need some
#   --stand-ins      zeroes in their place: a ROM to look at, which flash.sh refuses
#   --base ROM       the vendor's own ROM instead of our coreboot: the payload becomes img/nerf
#                    beside the vendor's, which is left alone like everything else
#   --replace        with --base: the payload takes the place of the vendor's

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=rom.sh
. "$ROOT/scripts/rom.sh"

board=qemu-q35 kernel='' initramfs='' out='' cmdline='' base='' replace=no dtb='' coreboot=()
while [ "$#" -gt 0 ]; do
    case $1 in
    --board) need_value "$@" && board=$2 && shift 2 ;;
    --kernel) need_value "$@" && kernel=$2 && shift 2 ;;
    --initramfs) need_value "$@" && initramfs=$2 && shift 2 ;;
    --out) need_value "$@" && out=$2 && shift 2 ;;
    --dtb) need_value "$@" && dtb=$2 && shift 2 ;;
    --cmdline) need_value "$@" && cmdline=$2 && shift 2 ;;
    --blobs) need_value "$@" && coreboot+=(--blobs "$2") && shift 2 ;;
    --stand-ins) coreboot+=(--stand-ins) && shift ;;
    --base) need_value "$@" && base=$2 && shift 2 ;;
    --replace) replace=yes && shift ;;
    --no-install) export INSTALL=no && shift ;;
    -h | --help) usage && exit ;;
    *) unknown_option "$1" ;;
    esac
done
board_load "$board"
for file in "$kernel" "$initramfs"; do [ -r "$file" ] || die "no file ${file:-(--kernel and --initramfs are needed)}"; done
[ -n "$out" ] || die "--out ROM is missing"
[ "$replace" = no ] || [ -n "$base" ] || die "--replace goes with --base"
cmdline=${cmdline:-${BOARD[cmdline]}}
cpud_check --cmdline "$cmdline"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rom=$work/rom

if [ -n "$base" ]; then
    check_rom "$base"
    ! has_settings "$base" || check_settings "$base"
    cp "$base" "$rom"
    name=img/nerf
    [ "$replace" = no ] || name=fallback/payload
    for old in img/nerf "$name"; do
        cbfstool "$rom" remove -n "$old" >/dev/null 2>&1 || true # it need not be there
    done
else
    folder=$(run build-coreboot.sh --board "$board" "${coreboot[@]}") || exit 1
    cp "$folder/coreboot.rom" "$rom"
    [ -z "${COREBOOT_SRC:-}" ] || CBFSTOOL=$folder/cbfstool # each question for it would compile that tree
    name=fallback/payload
fi
chmod 600 "$rom" # a host key is in it

# make_fit: makes $work/payload, a FIT (U-Boot's format) as coreboot for ARM expects it, of the kernel, the initramfs and
# the board's device tree, whose /chosen has the command line.
make_fit() {
    need_packages "${PACKAGES_FOR_FIT[@]}"
    local tree=$ROOT/boards/$board/machine.dts
    if [ -e "$tree" ]; then
        dtc -q -O dtb -o "$work/dtb" "$tree"
    else
        [ -r "$dtb" ] || die "the board $board has no machine.dts and --dtb FILE is missing"
        cp "$dtb" "$work/dtb"
    fi
    fdtput -t s "$work/dtb" /chosen bootargs "$cmdline"
    xz --format=lzma -9e <"$kernel" >"$work/kernel"
    cp "$initramfs" "$work/initramfs"
    cat >"$work/payload.its" <<'FIT'
/dts-v1/;
/ {
    description = "cpu appliance";
    #address-cells = <1>;
    images {
        kernel {
            data = /incbin/("kernel");
            type = "kernel"; arch = "arm64"; os = "linux"; compression = "lzma";
            load = <0x80000>; entry = <0x80000>;
        };
        fdt {
            data = /incbin/("dtb");
            type = "flat_dt"; arch = "arm64"; compression = "none";
        };
        ramdisk {
            data = /incbin/("initramfs");
            type = "ramdisk"; arch = "arm64"; os = "linux"; compression = "none";
        };
    };
    configurations {
        default = "conf";
        conf { kernel = "kernel"; fdt = "fdt"; ramdisk = "ramdisk"; };
    };
};
FIT
    (cd "$work" && SOURCE_DATE_EPOCH=0 mkimage -f payload.its payload) >"$work/log" 2>&1 ||
        die "mkimage: $(tail -n 1 "$work/log")"
}

case ${BOARD[payload]} in
linux) add=(add-payload -f "$kernel" -I "$initramfs" -C "$cmdline") ;;
fit)
    make_fit # not before a ||, where none of its commands could fail
    add=(add -t fit_payload -f "$work/payload")
    ;;
*) die "boards/$board/board.conf: no such payload: ${BOARD[payload]}" ;;
esac
cbfstool "$rom" "${add[@]}" -n "$name" >"$work/log" 2>&1 || die "no room: kernel and initramfs are $(($(bytes_of "$kernel") + $(bytes_of "$initramfs"))) bytes," \
    "and the largest hole of the ROM has $(largest_hole "$rom") ($(tail -n 1 "$work/log"))"

# With a cpio header (build-initramfs.sh) before the name, since cpud itself contains the name.
if [ "$(xz -dc "$initramfs" | grep -acE '070701[0-9A-F]{104}etc/cpud/authorized_keys')" -eq 0 ]; then
    echo "$NO_KEYS" >"$work/no-keys"
    cbfstool "$rom" add -t raw -n no-keys -f "$work/no-keys" >/dev/null 2>&1 || die "no room for a line"
fi

if [ -n "$base" ]; then
    compare_roms "$base" "$rom" >&2
elif [[ ${coreboot[*]} == *--stand-ins* ]]; then
    # flash.sh looks for this.
    echo "the vendor's files are zeroes: this never boots" >"$work/stand-ins"
    cbfstool "$rom" add -t raw -n stand-ins -f "$work/stand-ins" >/dev/null 2>&1 || die "no room for a line"
fi

mkdir -p "$(dirname "$out")"
put "$rom" "$out"
