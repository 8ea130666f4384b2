#!/usr/bin/env bash
# build-coreboot.sh [--board BOARD] [--blobs DIR | --stand-ins] [--no-install]
#
# Build a board's coreboot, without a payload, from Debian's source package and boards/coreboot-patches, and
# print the folder that holds coreboot.rom, .config and cbfstool. The same inputs are never built twice.
#
#   --board BOARD  a folder of boards/ (default qemu-q35)
#   --blobs DIR    where the vendor's files are that boards/BOARD/blobs.list names
#   --stand-ins    files of zeroes in their place: the layout is right, and it never boots
#   --no-install   name missing packages instead of installing them
#
# With COREBOOT_SRC=DIR in the environment that tree is built as it is, and nothing is taken from the cache.

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

SUITE=sid # which alone has a coreboot of our days
TF_A_SUITE=trixie
board=qemu-q35 blobs='' stand_ins=no trusted=''
while [ "$#" -gt 0 ]; do
    case $1 in
    --board) need_value "$@" && board=$2 && shift 2 ;;
    --blobs) need_value "$@" && blobs=$2 && shift 2 ;;
    --stand-ins) stand_ins=yes && shift ;;
    --no-install) export INSTALL=no && shift ;;
    -h | --help) usage && exit ;;
    *) unknown_option "$1" ;;
    esac
done
board_load "$board"
folder=$ROOT/boards/$board
[ -e "$folder/coreboot.defconfig" ] || die "boards/$board has no coreboot.defconfig: it is booted directly"
plain_cache
work=$(mktemp -d "$CACHE/work.XXXXXX") # make takes no path with a blank or an apostrophe, as this tree's may be
trap 'rm -rf "$work"' EXIT

# --- the vendor's files ---------------------------------------------------------------------------

# Rows of blobs.list: the file, its size, the coreboot option that names it or -.
blob_rows() { grep -v '^#' "$folder/blobs.list"; }

check_blobs() {
    local file size option lacking='' odd=''
    while read -r file size option; do
        if [ ! -r "$blobs/$file" ]; then
            lacking+=" $file($size)"
        elif [ "$(bytes_of "$blobs/$file")" -ne "$size" ]; then
            odd+=" $file($(bytes_of "$blobs/$file") instead of $size)"
        fi
    done < <(blob_rows)
    [ -z "$lacking" ] || die "$blobs lacks these of the vendor's files (with their sizes in bytes):$lacking"
    [ -z "$odd" ] || warn "these of the vendor's files have other sizes than those that boards/$board knows:$odd"
}

make_stand_ins() {
    local file size option
    blobs=$work/blobs
    while read -r file size option; do
        mkdir -p "$(dirname "$blobs/$file")"
        head -c "$size" /dev/zero >"$blobs/$file"
    done < <(blob_rows)
}

blob_hashes() {
    (cd "$blobs" && blob_rows | awk '{ print $1 }' | xargs -d '\n' sha256sum)
    [ ! -e "$folder/amdfw.cfg" ] || hash_of "$folder/amdfw.cfg"
}

# What the board's own lines cannot say: where files are.
paths() {
    local file size option
    cp "$folder/flash.fmd" "$work/flash.fmd"
    printf 'CONFIG_FMDFILE="%s"\n' "$work/flash.fmd"
    [ -n "$blobs" ] || return 0
    while read -r file size option; do
        [ "$option" = - ] || printf '%s="%s"\n' "$option" "$blobs/$file"
    done < <(blob_rows)
    if [ -e "$folder/amdfw.cfg" ]; then
        { printf 'FIRMWARE_LOCATION %s\n' "$blobs/PSP" && cat "$folder/amdfw.cfg"; } >"$work/amdfw.cfg"
        printf 'CONFIG_AMDFW_CONFIG_FILE="%s"\n' "$work/amdfw.cfg"
    fi
}

if [ -e "$folder/blobs.list" ]; then
    if [ -n "$blobs" ]; then
        [ -d "$blobs" ] || die "no folder $blobs"
        check_blobs
        ln -s "$(realpath "$blobs")" "$work/vendor"
        blobs=$work/vendor
    fi
    [ "$stand_ins" = no ] || make_stand_ins
    [ -n "$blobs" ] || die "boards/$board needs files of its vendor: --blobs DIR, with $(blob_rows | awk '{ printf "%s ", $1 }')"
elif [ -n "$blobs" ] || [ "$stand_ins" = yes ]; then
    die "boards/$board needs no file of a vendor"
fi

# --- the sources ----------------------------------------------------------------------------------

need_packages "${PACKAGES_FOR_COREBOOT[@]}" "${PACKAGES_FOR_CROSS[@]}"
# shellcheck disable=SC2046 # words, one of which has the version of the gcc that is there now
need_packages $(packages_for_rom)
if [ -n "${COREBOOT_SRC:-}" ]; then
    tree=$(realpath "$COREBOOT_SRC") key=
    [ -e "$tree/src/mainboard" ] || die "COREBOOT_SRC=$COREBOOT_SRC is no tree of coreboot"
else
    package=$(pinned_source coreboot "$SUITE") || exit 1
    patches=("$ROOT"/boards/coreboot-patches/*.patch)
    source=$(key_of "$(basename "$package")" "$(cat "${patches[@]}")")
    tree=$CACHE/coreboot/tree-${source:0:16}
    [ "${BOARD[arch]}" != aarch64 ] || trusted=$(pinned_source arm-trusted-firmware "$TF_A_SUITE") || exit 1
    key=$(key_of "$source" "$(basename "$trusted")" "$(cat "$folder/coreboot.defconfig" "$folder/flash.fmd")" \
        "${BOARD[coreboot_make]:-}" "$(for name in acpica-tools ${BOARD[packages]:-}; do version_of "$name"; done)" \
        "$("${CROSS}gcc" --version | head -n 1)" "$("${CROSS}ld" --version | head -n 1)" "$(hash_of "$0")" \
        "$([ -z "$blobs" ] || blob_hashes)")
fi
product=$CACHE/coreboot/${key:-own-$board}
if [ -n "$key" ] && [ -e "$product/coreboot.rom" ]; then
    echo "$product"
    exit
fi

# --- the build ------------------------------------------------------------------------------------

exclusively coreboot
if [ -n "$key" ] && [ -e "$product/coreboot.rom" ]; then # by whom we waited for
    echo "$product"
    exit
fi
if [ ! -e "$tree" ]; then
    say "coreboot: unpacking $(basename "$package"/*.dsc)"
    mkdir -p "$CACHE/coreboot"
    rm -rf "$tree.part"
    logged "$CACHE/logs/coreboot-unpack.log" "unpacking coreboot" \
        dpkg-source --require-strong-checksums -x "$package"/*.dsc "$tree.part"
    for patch in "${patches[@]}"; do
        patch -s -d "$tree.part" -p1 <"$patch" || die "$(basename "$patch") does not fit $(basename "$package"/*.dsc)"
    done
    mv "$tree.part" "$tree"
fi

# BL31, which stays in the secure world of an ARM machine, is built by coreboot from a tree inside its own.
if [ -n "$trusted" ] && [ ! -e "$tree/3rdparty/$(basename "$trusted")" ]; then
    say "TF-A: unpacking $(basename "$trusted"/*.dsc)"
    rm -rf "$tree"/3rdparty/arm-trusted-firmware*
    logged "$CACHE/logs/tf-a-unpack.log" "unpacking TF-A" \
        dpkg-source --require-strong-checksums -x "$trusted"/*.dsc "$tree/3rdparty/arm-trusted-firmware"
    touch "$tree/3rdparty/$(basename "$trusted")"
fi
# TF-A and coreboot know the compiler for an ARM chip without a system by a name that is not Debian's.
for tool in as gcc ld nm objcopy objdump strip; do
    ! path=$(command -v "arm-none-eabi-$tool") || { mkdir -p "$work/bin" && ln -s "$path" "$work/bin/arm-eabi-$tool"; }
done
export PATH=$work/bin:$PATH BUILD_STRING=cpud # instead of what git says of the folder around TF-A

objects=$CACHE/coreboot/objects-$board
util=$objects/util
[ -z "$key" ] || util=$CACHE/coreboot/util-${tree##*-} # make goes by time: another tree's would pass for this one's
{ cat "$folder/coreboot.defconfig" && paths; } >"$work/defconfig"
make_coreboot() {
    # Its own name and time are the same for everybody; the tools of a tree are built once for all boards.
    make -C "$tree" -j"$(nproc)" BUILD_TIMELESS=1 obj="$objects" objutil="$util" \
        DOTCONFIG="$objects/.config" ${BOARD[coreboot_make]:+"${BOARD[coreboot_make]}"} "$@"
}
rm -rf "$objects"
mkdir -p "$objects"
logged "$CACHE/logs/coreboot-$board-config.log" "coreboot's configuration" \
    make_coreboot defconfig KBUILD_DEFCONFIG="$work/defconfig"
while read -r line; do
    case $line in
    CONFIG_*) grep -qxF "$line" "$objects/.config" || die "coreboot's own rules changed ${line%%=*}, wanted ${line#*=}" ;;
    '# CONFIG_'*' is not set') ! grep -q "^${line:2:-11}=" "$objects/.config" || die "coreboot's own rules set ${line:2:-11}" ;;
    esac
done <"$work/defconfig"
say "coreboot: compiling for $board, about a minute"
logged "$CACHE/logs/coreboot-$board.log" "coreboot" make_coreboot

rm -rf "$product.part"
mkdir -p "$product.part"
cp "$objects/coreboot.rom" "$objects/.config" "$objects/cbfstool" "$product.part/"
rm -rf "$product" "$objects"
mv "$product.part" "$product"
echo "$product"
