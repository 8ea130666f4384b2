#!/usr/bin/env bash
# build-initramfs.sh --out DIR (--key FILE... [--host-key FILE] | --bare) [--arch ARCH] [--cpud FILE]
#
# Make DIR/initramfs.cpio.xz: /init, which is cpud, the public keys that may log in, and the host
# key. The same inputs give the same bytes, and no root is needed.
#
#   --out DIR        where it goes; keys made here stay there
#   --key FILE       a public key in OpenSSH's form, or several (any number of times)
#   --arch ARCH      what cpud is made for: x86_64 (default) or aarch64
#   --host-key FILE  an unencrypted ed25519 key; without it DIR/host_key, made when it is not there
#   --bare           no keys at all: they come from the settings in the flash part
#   --cpud FILE      the program (default DIR/cpud)

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

out='' keys=() arch=x86_64 host_key='' cpud='' bare=no
while [ "$#" -gt 0 ]; do
    case $1 in
    --out) need_value "$@" && out=$2 && shift 2 ;;
    --key) need_value "$@" && keys+=("$2") && shift 2 ;;
    --arch) need_value "$@" && arch=$2 && shift 2 ;;
    --host-key) need_value "$@" && host_key=$2 && shift 2 ;;
    --bare) bare=yes && shift ;;
    --cpud) need_value "$@" && cpud=$2 && shift 2 ;;
    --no-install) export INSTALL=no && shift ;;
    -h | --help) usage && exit ;;
    *) unknown_option "$1" ;;
    esac
done
arch_load "$arch"
[ -n "$out" ] || die "--out DIR is missing"
if [ "$bare" = yes ]; then
    [ -z "${keys[*]}$host_key" ] || die "--bare excludes --key and --host-key"
elif [ "${#keys[@]}" -eq 0 ]; then
    die "no key, so nobody could log in (--key FILE, or --bare)"
fi
cpud=${cpud:-$out/cpud}
[ -e "$cpud" ] || die "no program at $cpud (scripts/build-cpud.sh makes it)"
! grep -aq test-hole@cpud "$cpud" || die "$cpud has the hole of the tests (build-cpud.sh --test-hole): no image is made of it"

need_packages "${PACKAGES_FOR_INITRAMFS[@]}"
umask 077 # host keys pass through here
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for key in "${keys[@]}"; do public_keys "$key" >>"$work/authorized_keys"; done

if [ "$bare" = no ]; then
    if [ -z "$host_key" ]; then
        host_key=$out/host_key
        [ -e "$host_key" ] || ssh-keygen -q -t ed25519 -N '' -C cpud -f "$host_key"
    fi
    public_host_key "$host_key" >"$work/host_key.pub"
    install -m 644 "$work/host_key.pub" "$out/host_key.pub"
fi

# --- cpio, "newc": see Documentation/driver-api/early-userspace/buffer-format.rst of the kernel --
inode=0
pad() { head -c $(((4 - $1 % 4) % 4)) /dev/zero; }

# entry MODE(octal) NAME [FILE]: owner, group and time are 0.
entry() {
    local size=0
    [ "$#" -lt 3 ] || size=$(bytes_of "$3")
    inode=$((inode + 1))
    printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\0' \
        "$inode" "0$1" 0 0 1 0 "$size" 0 0 0 0 $((${#2} + 1)) 0 "$2"
    pad $((110 + ${#2} + 1))
    if [ "$#" -ge 3 ]; then
        cat "$3"
        pad "$size"
    fi
}

# /dev/console comes with every kernel (usr/default_cpio_list); cpud makes all other folders.
{
    entry 100755 init "$cpud"
    entry 40755 etc
    entry 40755 etc/cpud
    if [ "$bare" = no ]; then
        entry 100644 etc/cpud/authorized_keys "$work/authorized_keys"
        entry 100600 etc/cpud/host_key "$host_key"
    fi
    entry 0 'TRAILER!!!'
} >"$work/cpio"

xz --check=crc32 "$BCJ" --lzma2=preset=9e,dict=1MiB <"$work/cpio" >"$work/initramfs"
put "$work/initramfs" "$out/initramfs.cpio.xz"
echo "$out/initramfs.cpio.xz"
