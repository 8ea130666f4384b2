#!/usr/bin/env bash
# flashrom-one-erase-region.sh
#
# Package    flashrom 1.3.0-2.1 of Debian 12
# Guess      the kernel's map of QEMU's flash chip has several regions of different erase blocks, as the message says; a
#            map of one region of equal blocks is accepted
# Behaviour  any number but 0 in numeraseregions is "Non-uniform", one region included. Linux has 1 there for every CFI
#            chip of equal blocks (drivers/mtd/chips/cfi_cmdset_0001.c), although its ABI document says 0
# Seen       with 1: Non-uniform eraseblock size is unsupported.
#            with 0: Found Programmer flash chip "Opaque flash chip" (1024 kB, Programmer-specific).
# Matters    the flash part of QEMU's machines is such a chip, so flashrom could not read it on the appliance;
#            kernel-config/patches/mtd-one-region.patch has the kernel say 0
#
# Takes root, or a user name space of one's own, for a /sys/class/mtd and a /dev/mtd0 that only flashrom sees.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq flashrom=1.3.0-2.1 libftdi1-2=1.5-6+b2 libjaylink0=0.3.1-1 libpci3=1:3.9.0-4 \
    libusb-1.0-0=2:1.0.26-1
for package in *.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(echo "$folder"/root/usr/lib/*-linux-gnu):$(echo "$folder"/root/lib/*-linux-gnu)
export LD_LIBRARY_PATH

# chip REGIONS: what flashrom says of a chip of 1 MiB with erase blocks of 4 KiB in so many regions.
chip() {
    # shellcheck disable=SC2016 # the inner shell's
    unshare --map-root-user --mount sh -euc '
        mount -t tmpfs none /sys/class && mount -t tmpfs none /dev
        mkdir -p /sys/class/mtd/mtd0 && cd /sys/class/mtd/mtd0
        echo nor >type && echo chip >name && echo 0x400 >flags
        echo 1048576 >size && echo 4096 >erasesize && echo "$1" >numeraseregions
        head -c 1048576 "$2/root/usr/sbin/flashrom" >/dev/mtd0
        "$2/root/usr/sbin/flashrom" -p linux_mtd:dev=0 2>&1 || true' sh "$1" "$folder"
}

one=$(chip 1) none=$(chip 0)
printf '%s\n' "$one" "$none" | grep -E 'Non-uniform|Found'
[[ $one == *"Non-uniform eraseblock size is unsupported."* && $one != *Found* ]]
[[ $none == *'Found Programmer flash chip "Opaque flash chip"'* && $none != *Non-uniform* ]]
