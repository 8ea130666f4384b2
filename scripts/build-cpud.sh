#!/usr/bin/env bash
# build-cpud.sh [--arch ARCH] [--out FILE] [--no-install]
#
# Build cpud, the static program without libc that is PID 1 in the image and a daemon elsewhere,
# and print its path. NAME.debug beside it has the source line of every address.
#
#   --arch ARCH   x86_64 (default) or aarch64
#   --nfs         with support for the stock client's -nfs
#   --test-hole   with a hole through which tests try the walls from inside; no image is made of that
#   --out FILE    copy it there
#   --no-install  name missing packages instead of installing them
#
# The console and the word version name the commit that it is built from: this tree's in git, with a + if the tree has
# changes, or CPUD_COMMIT of the environment. A clock that shows an earlier time than the commit's, or CPUD_COMMIT_TIME
# (seconds since 1970), is set to it.

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

board_read "$ROOT/boards/base.conf" # for the budget
arch=x86_64 out='' features=()
while [ "$#" -gt 0 ]; do
    case $1 in
    --arch) need_value "$@" && arch=$2 && shift 2 ;;
    --nfs) export NFS=yes && shift ;;
    --test-hole) features+=(--features test-hole) && shift ;;
    --out) need_value "$@" && out=$2 && shift 2 ;;
    --no-install) export INSTALL=no && shift ;;
    -h | --help) usage && exit ;;
    *) unknown_option "$1" ;;
    esac
done

arch_load "$arch"
need_packages "${PACKAGES_FOR_CPUD[@]}" "${PACKAGES_FOR_CROSS[@]}"
command -v cargo >/dev/null || die "cargo is missing: install Rust (https://rustup.rs)"

sysroot=$(rustc --print sysroot)
case $arch in
x86_64) target=x86_64-unknown-linux-gnu linker=cc && RUST=(--target "$target") ;;
aarch64)
    # The linker that comes with Rust knows every architecture.
    target=aarch64-unknown-linux-musl linker=$(echo "$sysroot"/lib/rustlib/*/bin/rust-lld)
    rust_for "$target" core
    ;;
esac

# commit: prints this tree's commit, if the tree is a git repository and not part of another.
commit() {
    local name
    if name=$(git -C "$ROOT" rev-parse --show-prefix --short=12 HEAD 2>/dev/null) && [ "${name:0:1}" = $'\n' ]; then
        printf '%s' "${name:1}"
        git -C "$ROOT" diff --quiet HEAD || echo +
    else
        echo unknown
    fi
}

# commit_time: prints when this tree's commit was made; without one, the beginning of 2025.
commit_time() { git -C "$ROOT" -c log.showSignature=false log -1 --format=%ct "${CPUD_COMMIT%+}" 2>/dev/null || echo 1735689600; }

# image_flags: prints the flags of cpud-min/image.toml for the target, one a line.
image_flags() {
    awk -v target="[target.$target]" '/^\[/ { ours = $0 == target } ours && !/^ *#/' "$ROOT/cpud-min/image.toml" |
        grep -oE "\"[^\"]*\"|'[^']*'" | sed -E "s/^.(.*).\$/\1/"
}

# In the environment, which overrides the user's cargo configuration. The remapping keeps folder names out of the
# binary.
mapfile -t flags < <(image_flags)
[ "${#flags[@]}" -gt 0 ] || die "cpud-min/image.toml has no flags for $target"
flags+=("--remap-path-prefix=$ROOT=." "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo")
CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f' && echo "${flags[*]}")
export CARGO_ENCODED_RUSTFLAGS
variable=${target//-/_}
export "CARGO_TARGET_${variable^^}_LINKER=$linker"

export CPUD_COMMIT=${CPUD_COMMIT:-$(commit)}
[[ $CPUD_COMMIT =~ ^[A-Za-z0-9.+_-]{1,40}$ ]] || die "CPUD_COMMIT=$CPUD_COMMIT is no name of a commit"

export CPUD_COMMIT_TIME=${CPUD_COMMIT_TIME:-$(commit_time)}
[[ $CPUD_COMMIT_TIME =~ ^[1-9][0-9]{8,11}$ ]] || die "CPUD_COMMIT_TIME=$CPUD_COMMIT_TIME is no number of seconds since 1970"

exclusively "cpud-$(key_of "$ROOT")" # cargo's own lock does not cover what is stripped and copied below
say "cpud: compiling"
cargo build --manifest-path "$ROOT/Cargo.toml" --target-dir "$ROOT/target" --locked \
    --package cpud-min --bin cpud --profile image ${NFS:+--features nfs} "${features[@]}" "${RUST[@]}" >&2 || die "cargo could not build cpud"
built=$ROOT/target/$target/image
cpud=$built/cpud.stripped
# Program headers are enough to load a program; symbols and section headers serve debuggers alone.
LD_LIBRARY_PATH=$sysroot/lib "$(echo "$sysroot"/lib/rustlib/*/bin/rust-objcopy)" --strip-all --strip-sections "$built/cpud" "$cpud"

# The design depends on this: no loader, no shared library, no libc.
headers=$(readelf -ldW "$cpud")
[[ $headers != *INTERP* ]] || die "cpud asks for a dynamic loader"
[[ $headers != *NEEDED* ]] || die "cpud needs shared libraries"
! grep -aq 'GLIBC_\|musl' "$cpud" || die "cpud has a libc linked in"

say "$(size_row cpud "$(bytes_of "$cpud")" "${BOARD[max_cpud]}")"
if [ -n "$out" ]; then
    mkdir -p "$(dirname "$out")"
    cp "$built/cpud" "$out.debug"
    put "$cpud" "$out"
    cpud=$out
fi
echo "$cpud"
