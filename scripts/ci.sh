#!/usr/bin/env bash
# ci.sh [OPTION OF test.sh]...
#
# .ci/run calls this: install what a new Debian machine with Rust lacks, then test everything.

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

case " $* " in
*' --help '* | *' -h '*) usage && exit ;;
*' --no-install '*) export INSTALL=no ;;
esac
command -v cargo >/dev/null || die "cargo is missing: install Rust (https://rustup.rs)"
mapfile -t peers < <(grep -v '^#' "$ROOT/qemu-tests/packages.txt")
need_packages git ca-certificates shellcheck "${PACKAGES_FOR_CPUD[@]}" "${PACKAGES_FOR_KERNEL[@]}" "${peers[@]}"

# The cpu clients that the tests build are Go; Debian 12 has a Go that can fetch the one they need in its backports.
if ! command -v go >/dev/null; then
    [ "$INSTALL" = yes ] || die "missing package: golang-go"
    if [ "$(debian_codename)" = bookworm ]; then
        with_suite bookworm-backports install_packages -t bookworm-backports golang-go
    else
        need_packages golang-go
    fi
fi

need_qemu_with_igb
run test.sh "$@"
