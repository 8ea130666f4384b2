#!/usr/bin/env bash
# test.sh [--quick | --all] [--no-install]
#
# Test everything, from formatting to sessions in QEMU, and end with one line of counts. What cannot
# be tested on this machine is listed with the reason.
#
#   --quick       only what needs no kernel: checks, unit tests, the daemon on this machine
#   --all         also the tests that take long, cargo-deny, and whether the fuzz targets still compile
#   --no-install  name missing packages instead of installing them

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

level=usual
while [ "$#" -gt 0 ]; do
    case $1 in
    --quick) level=quick && shift ;;
    --all) level=all && shift ;;
    --no-install) export INSTALL=no && shift ;;
    -h | --help) usage && exit ;;
    *) unknown_option "$1" ;;
    esac
done

cd "$ROOT"
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
passed=0 failed=0 skipped=0 reasons=() broken=()

# skip WHAT REASON
skip() {
    skipped=$((skipped + 1))
    reasons+=("$1: $2")
}

# check NAME COMMAND...: passes or fails as a whole.
check() {
    say "$1"
    if ("${@:2}"); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        broken+=("$1")
    fi
}

# suite NAME COMMAND...: cargo test; counts its tests one by one.
suite() {
    local log=$logs/suite status=0 bad
    say "$1"
    "${@:2}" 2>&1 | tee "$log" || status=$?
    passed=$((passed + $(tally passed "$log")))
    skipped=$((skipped + $(tally ignored "$log")))
    bad=$(tally failed "$log")
    # A test program that does not compile or crashes prints no counts.
    [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    failed=$((failed + bad))
    [ "$bad" -eq 0 ] || broken+=("$1: $(sed -nE 's/^test (.*) \.\.\. FAILED$/\1/p' "$log" | paste -sd' ')")

    # A test that lacks something prints SKIP and returns, which libtest counts as passed.
    while read -r line; do
        passed=$((passed - 1))
        skip "${line%%: skipped: *}" "${line#*: skipped: }"
    done < <(sed -n 's/^SKIP: //p' "$log")
    while read -r line; do
        reasons+=("$line")
    done < <(sed -nE 's/^test (.*) \.\.\. ignored(, (.*))?$/\1: \3/p' "$log")
}

# tally WORD LOG: the sum over libtest's "test result:" lines.
tally() { sed -nE "s/^test result: .* ([0-9]+) $1;.*/\1/p" "$2" | paste -sd+ | sed 's/^$/0/' | bc; }

# for_aarch64 CARGO ARGUMENT...: runs cargo for ARM programs with a standard library, linked statically.
for_aarch64() (
    rust_for aarch64-unknown-linux-gnu std
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=qemu-aarch64-static
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS=-Ctarget-feature=+crt-static
    # A standard library that is built has one way to panic; tests need unwinding.
    cargo "$@" "${RUST[@]}" --config 'profile.dev.panic="unwind"' --locked
)

# look_for_aarch64: builds the program by which tests inspect processes in the guest.
look_for_aarch64() {
    for_aarch64 build --package qemu-tests --bin look && # check hides a failure that is not the last
        cp target/aarch64-unknown-linux-gnu/debug/look "$arm/look"
}

# about_image BOARD: whether its page and its bill of materials fit it.
about_image() {
    CPUD_BOARD=$1 cargo test --package qemu-tests --locked --no-fail-fast --test scripts -- the_bill_of the_sizes_on
}

# deny: crates' licences, versions and sources against deny.toml, by cargo-deny, which is compiled once.
deny() {
    local version=0.20.2
    local folder=$CACHE/cargo-deny-$version
    [ -x "$folder/bin/cargo-deny" ] || (
        exclusively cargo-deny
        logged "$CACHE/logs/cargo-deny.log" "cargo install cargo-deny" \
            cargo install --locked --version "$version" --root "$folder" cargo-deny
    ) && "$folder/bin/cargo-deny" --locked check bans licenses sources
}

# go_is_formatted: fails also when gofmt cannot read a file.
go_is_formatted() {
    local odd
    odd=$(gofmt -l qemu-tests/clients) && test -z "$odd"
}

# --- without a build ------------------------------------------------------------------------------

command -v cargo >/dev/null || die "cargo is missing: install Rust (https://rustup.rs)"
need_packages "${PACKAGES_FOR_CPUD[@]}" shellcheck bc
check "shell scripts" shellcheck scripts/*.sh findings/*.sh .ci/run
check "formatting" cargo fmt --all --check
# One crate at a time: together they would share features, and cpud would have a standard library linked in.
for package in cpud-min ninep qemu-tests ssh-lite ssh-lite-cipher; do
    check "clippy: $package" cargo clippy --package "$package" --all-targets --locked -- -D warnings
    check "documentation: $package" env RUSTDOCFLAGS='-D warnings' cargo doc --package "$package" --no-deps --locked
done
check "clippy: cpud-min with NFS and the hole" \
    cargo clippy --package cpud-min --features nfs,test-hole --locked -- -D warnings
suite "unit tests" cargo test --workspace --exclude qemu-tests --locked --no-fail-fast
if command -v go >/dev/null; then
    check "formatting of the Go clients" go_is_formatted
else
    skip "formatting of the Go clients" "no Go on PATH"
fi

# --- the program on this machine ----------------------------------------------------------------

out=$ROOT/out/qemu-q35
mapfile -t peers < <(grep -v '^#' qemu-tests/packages.txt)
[ "$INSTALL" = no ] || need_packages "${peers[@]}"
check "cpud" run build-cpud.sh --out "$out/cpud"
suite "the daemon and its peers" cargo test --package qemu-tests --locked --no-fail-fast --lib --test daemon

# --- the image in QEMU --------------------------------------------------------------------------

if [ "$level" = quick ]; then
    skip "the image in QEMU" "left out by --quick"
else
    check "the kernel" run build-kernel.sh --out "$out/bzImage"
    check "the kernel with NFS" env NFS=yes scripts/build-kernel.sh --out "$out-nfs/bzImage"
    check "cpud with NFS" run build-cpud.sh --nfs --out "$out-nfs/cpud"
    check "cpud with the hole" run build-cpud.sh --test-hole --out "$out-hole/cpud"
    check "coreboot" run build-coreboot.sh
    check "the apu2's layout, with stand-ins for the vendor's files" run build-image.sh apu2 --stand-ins
    check "two builds are the same" run check-repro.sh
    more=()
    [ "$level" != all ] || more=(-- --include-ignored)
    suite "the scripts" cargo test --package qemu-tests --locked --no-fail-fast --test scripts
    suite "what is said of the apu2's image" about_image apu2
    suite "the image in QEMU, from its ROM" \
        cargo test --package qemu-tests --locked --no-fail-fast --test image "${more[@]}"
    suite "programs at home and in the image" \
        cargo test --package qemu-tests --locked --no-fail-fast --test fidelity "${more[@]}"
    if [ "$level" = all ]; then
        suite "the image in QEMU, booted directly" \
            env CPUD_BOOT=direct cargo test --package qemu-tests --locked --no-fail-fast --test image "${more[@]}"
    fi
fi

# --- the same on ARM ------------------------------------------------------------------------------

arm=$ROOT/out/qemu-aarch64
for_arm=(qemu-system-arm qemu-user-static gcc-aarch64-linux-gnu libc6-dev-arm64-cross)
if [ "$level" = quick ]; then
    skip "everything on ARM" "left out by --quick"
elif [ "$INSTALL" = no ] && ! lacking=$(need_packages "${for_arm[@]}" 2>&1); then
    skip "everything on ARM" "$lacking"
else
    need_packages "${for_arm[@]}"
    check "cpud for ARM" run build-cpud.sh --arch aarch64 --out "$arm/cpud"
    suite "unit tests on ARM" for_aarch64 test --workspace --exclude qemu-tests --lib --no-fail-fast
    check "the program look for ARM" look_for_aarch64
    check "the kernel for ARM" run build-kernel.sh --board qemu-aarch64 --out "$arm/Image"
    check "cpud with the hole for ARM" run build-cpud.sh --test-hole --arch aarch64 --out "$arm-hole/cpud"
    check "coreboot for ARM" run build-coreboot.sh --board qemu-aarch64
    if [ "$level" = all ]; then
        check "the image for the rockpro64" run build-image.sh rockpro64
        check "the kernel with NFS for ARM" env NFS=yes scripts/build-kernel.sh --board qemu-aarch64 --out "$arm-nfs/Image"
        check "cpud with NFS for ARM" run build-cpud.sh --nfs --arch aarch64 --out "$arm-nfs/cpud"
    fi
    # These; with --all everything except tests of other boards and their flash parts.
    more=(architecture:: boot:: holes:: stock:: terminal:: walls::)
    [ "$level" != all ] || more=(--include-ignored --skip apu2:: --skip firmware:: --skip flash:: --skip settings::)
    suite "the image in QEMU on ARM, booted directly" env CPUD_BOARD=qemu-aarch64 CPUD_BOOT=direct \
        cargo test --package qemu-tests --locked --no-fail-fast --test image -- "${more[@]}"
    suite "the image in QEMU on ARM, from its ROM" env CPUD_BOARD=qemu-aarch64 \
        cargo test --package qemu-tests --locked --no-fail-fast --test image -- boot:: cpu_runs
    suite "what is said of the image for ARM" about_image qemu-aarch64
fi
if [ "$level" = all ]; then
    check "fuzz targets" cargo check --manifest-path fuzz/Cargo.toml
    check "licences, versions and sources of crates" deny
fi

# list TITLE LINE...: nothing when there is no line.
list() {
    [ "$#" -gt 1 ] || return 0
    printf '\n%s:\n' "$1"
    printf '  %s\n' "${@:2}"
}
list skipped "${reasons[@]}"
list failed "${broken[@]}"
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ] || exit 1
