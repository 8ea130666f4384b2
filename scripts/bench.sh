#!/usr/bin/env bash
# bench.sh [--reference FILE] [--rtt MS,... [--cap SECONDS] [--only WORD]] [--no-install]
#
# Print sizes, memory, times and throughput of the image in QEMU (one TCG processor of the model
# max), through the stock client when it is on PATH. With a reference, a static cpud that runs as
# /init, print its figures beside them: same kernel, same machine, same run.
#
#   --reference FILE  the other cpud
#   --rtt MS,...      instead of that: the messages that cross the network for a list of commands, cold and
#                     warm, and how long they take with these round-trip times added
#   --cap SECONDS     print "> SECONDS" for a command that takes longer (default 600)
#   --only WORD       leave out commands without WORD in their name
#   --no-install      name missing packages instead of installing them

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

reference=() course=()
while [ "$#" -gt 0 ]; do
    case $1 in
    --reference) need_value "$@" && reference=("$(realpath "$2")") && shift 2 ;;
    --rtt | --cap | --only) need_value "$@" && course+=("$1" "$2") && shift 2 ;;
    --no-install) export INSTALL=no && shift ;;
    -h | --help) usage && exit ;;
    *) unknown_option "$1" ;;
    esac
done

need_packages busybox-static cpio gcc git libc6-dev make openssh-client qemu-system-x86 xz-utils
out=$ROOT/out/qemu-q35
run build-cpud.sh --out "$out/cpud" >/dev/null
run build-kernel.sh --out "$out/bzImage" >/dev/null
say "measuring; do not use the machine meanwhile"
cargo build --quiet --manifest-path "$ROOT/Cargo.toml" --locked --package qemu-tests --bins
cargo run --quiet --manifest-path "$ROOT/Cargo.toml" --locked --package qemu-tests --bin bench -- \
    "${course[@]}" "${reference[@]}"
