#!/usr/bin/env bash
# bench.sh [--reference FILE] [--no-install]
#
# Print sizes, memory, times and throughput of the image in QEMU (one TCG processor of the model
# max), through the stock client when it is on PATH. With a reference, a static cpud that runs as
# /init, its figures stand beside ours: same kernel, same machine, same run.
#
#   --reference FILE  the other cpud
#   --no-install      name missing packages instead of installing them

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

reference=()
while [ "$#" -gt 0 ]; do
    case $1 in
    --reference) need_value "$@" && reference=("$(realpath "$2")") && shift 2 ;;
    --no-install) export INSTALL=no && shift ;;
    -h | --help) usage && exit ;;
    *) unknown_option "$1" ;;
    esac
done

need_packages cpio openssh-client qemu-system-x86 xz-utils
out=$ROOT/out/qemu-q35
run build-cpud.sh --out "$out/cpud" >/dev/null
run build-kernel.sh --out "$out/bzImage" >/dev/null
say "measuring; leave the machine alone meanwhile"
cargo build --quiet --manifest-path "$ROOT/Cargo.toml" --locked --package qemu-tests --bins
cargo run --quiet --manifest-path "$ROOT/Cargo.toml" --locked --package qemu-tests --bin bench -- "${reference[@]}"
