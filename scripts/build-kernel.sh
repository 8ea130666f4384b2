#!/usr/bin/env bash
# build-kernel.sh [--board BOARD] [--out FILE] [--no-install]
#
# Build a board's kernel from Debian's linux-source, kernel-config/patches and the fragments that its
# board.conf names, and print where it is: a bzImage, or an Image on ARM. The same sources, fragments and
# compiler are never built twice.
#
#   --board BOARD  a folder of boards/ (default qemu-q35)
#   --out FILE     copy the kernel there, and its board's device tree to machine.dtb beside it
#   --no-install   name missing packages instead of installing them

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

PACKAGE=linux-source-6.12
board=qemu-q35 out=''
while [ "$#" -gt 0 ]; do
    case $1 in
    --board) need_value "$@" && board=$2 && shift 2 ;;
    --out) need_value "$@" && out=$2 && shift 2 ;;
    --no-install) export INSTALL=no && shift ;;
    -h | --help) usage && exit ;;
    *) unknown_option "$1" ;;
    esac
done
board_load "$board"
make=(make ARCH="$KERNEL_ARCH" CROSS_COMPILE="$CROSS")
# Optimizing for size, gcc copies by "rep movsb", which the apu2's processor and QEMU's do byte by byte. This calls memcpy.
[ "$KERNEL_ARCH" != x86 ] || make+=(KCFLAGS=-mstringop-strategy=libcall)

# fragments: the files, in order; the board's own comes last.
fragments() {
    local name
    for name in ${BOARD[kernel]}; do
        printf '%s\n' "$ROOT/kernel-config/$name.config"
    done
    printf '%s\n' "$ROOT/boards/$board/kernel.config"
}

# chosen: every line of the fragments that sets something, without comments; of two about the same option the last.
chosen() {
    fragments | xargs -d '\n' cat | grep -E '^CONFIG_[A-Za-z0-9_]+=|^# CONFIG_[A-Za-z0-9_]+ is not set$' |
        tac | awk '{ name = $0; sub(/^# /, "", name); sub(/[= ].*/, "", name) } !seen[name]++' | tac
}

forbidden() { grep -Eo '^CONFIG_[A-Za-z0-9_]+' "$ROOT/kernel-config/forbidden.list"; }

# check_config FILE: every chosen line survived olddefconfig, and nothing forbidden came in.
check_config() {
    local line name wrong=''
    while read -r line; do
        name=${line#\# } name=${name%% is not set} name=${name%%=*}
        case $line in
        '#'*) ! grep -q "^$name=" "$1" || wrong+=" $name(stays on)" ;;
        *) grep -qxF "$line" "$1" || wrong+=" $name(wanted ${line#*=})" ;;
        esac
    done < <(chosen)
    for name in $(forbidden); do
        ! grep -q "^$name=" "$1" || wrong+=" $name(forbidden)"
    done
    [ -z "$wrong" ] || die "the kernel's own rules changed what the fragments say:$wrong"
}

# unpack DEB FOLDER: the sources in it with our patches, without what no board here could use.
unpack() {
    local part=$2.part patch
    rm -rf "$part"
    mkdir -p "$part"
    dpkg-deb --fsys-tarfile "$1" | tar -xO "./usr/src/$PACKAGE.tar.xz" |
        tar -xJ -C "$part" --strip-components=1 --wildcards --exclude='*/Documentation/*.rst' \
            --exclude='*/drivers/gpu/*.[ch]' --exclude='*/drivers/media/*.[ch]' --exclude='*/sound/*.[ch]' \
            --exclude='*/drivers/net/wireless/*.[ch]' --exclude='*/tools/testing/*'
    for patch in "${patches[@]}"; do
        patch -s -d "$part" -p1 <"$patch" || die "$(basename "$patch") does not fit $(basename "$1")"
    done
    mv "$part" "$2"
}

# compile TREE OBJECTS: progress is a line for every tenth of a first build's steps.
compile() {
    local steps=0 line expected=1850
    "${make[@]}" -C "$1" O="$2" -j"$(nproc)" "$KERNEL" ${BOARD[devicetree]:+"${BOARD[devicetree]}.dtb"} 2>"$2/stderr" | while read -r line; do
        printf '%s\n' "$line"
        steps=$((steps + 1))
        if [ $((steps % (expected / 10))) -eq 0 ]; then
            say "kernel: $steps of about $expected steps"
        fi
    done >"$2/stdout" || {
        grep -v '^  ' "$2/stderr" | tail -n 20 >&2
        die "the kernel does not compile; all of the output is in $2/stdout and stderr"
    }
}

need_packages "${PACKAGES_FOR_KERNEL[@]}" "${PACKAGES_FOR_CROSS[@]}"
deb=$(pinned_deb "$PACKAGE") || exit 1
patches=("$ROOT"/kernel-config/patches/*.patch)
source=$(key_of "$(hash_of "$deb")" "$(cat "${patches[@]}")")
key=$(key_of "$source" "${BOARD[devicetree]:-}" "$(chosen)" "$(forbidden)" "$("${CROSS}gcc" --version | head -n 1)" "$("${CROSS}ld" --version | head -n 1)" \
    "$(xz --version | head -n 1)" "$(hash_of "$0")")
product=$CACHE/kernel/$key

if [ ! -e "$product/$KERNEL" ]; then
    exclusively kernel
fi
if [ ! -e "$product/$KERNEL" ]; then
    tree=$CACHE/linux/${source:0:16}
    objects=$tree-${BOARD[arch]}
    if [ ! -e "$tree" ]; then
        say "kernel: unpacking $(basename "$deb")"
        unpack "$deb" "$tree"
    fi

    # Who, where and when are the same for everybody, so that the result is.
    export KBUILD_BUILD_TIMESTAMP=@0 KBUILD_BUILD_USER=cpud KBUILD_BUILD_HOST=cpud KBUILD_BUILD_VERSION=1
    mkdir -p "$objects"
    logged "$objects/config.log" "make tinyconfig" "${make[@]}" -C "$tree" O="$objects" tinyconfig
    chosen >>"$objects/.config"
    logged "$objects/config.log" "make olddefconfig" "${make[@]}" -C "$tree" O="$objects" olddefconfig
    check_config "$objects/.config"

    say "kernel: compiling $(make -s -C "$tree" kernelversion), 4 to 10 minutes the first time"
    compile "$tree" "$objects"

    rm -rf "$product.part"
    mkdir -p "$product.part"
    cp "$objects/arch/$KERNEL_ARCH/boot/$KERNEL" "$objects/.config" "$objects/System.map" "$product.part/"
    [ -z "${BOARD[devicetree]:-}" ] || cp "$objects/arch/$KERNEL_ARCH/boot/dts/${BOARD[devicetree]}.dtb" "$product.part/machine.dtb"
    mv "$product.part" "$product"
fi

kernel=$product/$KERNEL
say "$(size_row "$KERNEL" "$(bytes_of "$kernel")" "${BOARD[max_kernel]}")"
if [ -n "$out" ]; then
    mkdir -p "$(dirname "$out")"
    put "$kernel" "$out"
    [ ! -e "$product/machine.dtb" ] || put "$product/machine.dtb" "$(dirname "$out")/machine.dtb"
    kernel=$out
fi
echo "$kernel"
