# shellcheck shell=bash disable=SC2034
# Functions for every script here: messages, the cache, packages, sources, boards. Sourced, never run.

set +o posix +o noclobber +o noglob # SHELLOPTS may be inherited
set -Eeuo pipefail
shopt -s inherit_errexit

# shellcheck disable=SC2046 # words
unset -f $(compgen -A function) # exported ones, too
# The user's environment must influence neither an image nor the tools. The variables kept here say where things are,
# how the network is reached, and what the tests are to do; docs/images.md lists an image's inputs.
clean_environment() {
    local name path=''
    for name in $(compgen -e); do
        case $name in
        PATH) path=$PATH ;;
        HOME | PWD | USER | LOGNAME | TERM | TMPDIR | SSH_AUTH_SOCK | XDG_CACHE_HOME | XDG_CONFIG_HOME) ;;
        CARGO_HOME | CARGO_HTTP_* | CARGO_NET_* | CARGO_REGISTR* | RUSTUP_* | RUST_BACKTRACE) ;;
        *_proxy | *_PROXY | *SSL_CERT* | *_CA_* | *_CAINFO | *_CERT | APT_CONFIG | GO* | PIP_* | NPM_CONFIG_* | npm_config_*) ;;
        CPUD_* | COREBOOT_SRC | CBFSTOOL | INSTALL | NFS) ;;     # ours
        *) unset "$name" 2>/dev/null || export -n "${name?}" ;;       # of a shell's own, which cannot be unset
        esac
    done
    export LC_ALL=C.UTF-8 HOME=${HOME:-}
    export PATH=${path:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}
    [ -n "$HOME" ] || HOME=$(getent passwd "$(id -u)" | cut -d: -f6)
    [ -n "$path" ] || PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    umask u+rwx
}
clean_environment

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ME=$(basename "$0")
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/cpud
export INSTALL=${INSTALL:-yes} # --no-install makes it no, for the scripts that this one calls too
export NFS=${NFS:-}            # --nfs makes it yes, likewise

# Progress goes to stderr; stdout has the result alone.
say() { printf '==> %s\n' "$*" >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
    trap - ERR
    printf '%s: %s\n' "$ME" "$*" >&2
    exit 1
}
trap 'die "line $LINENO: this failed: $BASH_COMMAND"' ERR

# run SCRIPT ARGUMENT...: runs another script of this folder, which reports its own errors.
run() { "$ROOT/scripts/$1" "${@:2}" || exit 1; }

# Errors of the option parsers.
need_value() { [ "$#" -ge 2 ] || die "$1 needs a value"; }
unknown_option() { die "unknown option $1 (see $ME --help)"; }

# usage: prints the comment at the top of the script, which is its help.
usage() { sed -n '2,${/^#/!q;s/^# \{0,1\}//p}' "$0"; }

bytes_of() { stat -c %s "$1"; }
hash_of() { sha256sum "$1" | cut -d' ' -f1; }

# put FILE DESTINATION: copies it, whole or not at all.
put() {
    if ! cp "$1" "$2.part" 2>/dev/null; then
        rm -f "$2.part"
        die "$2 cannot be written: is the disk full?"
    fi
    mv "$2.part" "$2"
}

# key_of WORD...: the name of a cache entry: a hash of all its inputs.
key_of() { printf '%s\n' "$@" | sha256sum | cut -c1-32; }

# logged LOG WHAT COMMAND...: runs it and keeps its output; on failure names WHAT and shows the end of the output.
logged() {
    local log=$1 what=$2
    shift 2
    mkdir -p "$(dirname "$log")"
    "$@" >"$log" 2>&1 && return
    tail -n 20 "$log" >&2
    die "$what failed; all of its output is in $log"
}

# writable_cache: fails unless the cache can be written.
writable_cache() {
    { mkdir -p "$CACHE/locks" && [ -w "$CACHE/locks" ]; } 2>/dev/null || die "the cache, $CACHE, cannot be written"
}

# plain_cache: fails unless make and Kconfig accept the cache's path.
plain_cache() {
    [[ $CACHE != *[[:space:]\'\"\`\$\#:\;\&\|\(\)\<\>\\\*]* ]] ||
        die "sources cannot be compiled in the cache, $CACHE: its path has a blank or a special character; set XDG_CACHE_HOME"
    writable_cache
}

# exclusively NAME: takes the lock NAME in the cache until this shell ends or closes the descriptor LOCK.
exclusively() {
    writable_cache
    exec {LOCK}>>"$CACHE/locks/$1"
    flock -n "$LOCK" && return
    say "waiting for another run that is building the same part ($1)"
    flock "$LOCK"
}

# alone COMMAND...: executes it with the standard streams and no other descriptor of this script or its caller.
alone() {
    local fd
    for fd in "/proc/$BASHPID/fd/"*; do
        fd=${fd##*/}
        [ "$fd" -le 2 ] || exec {fd}>&-
    done
    exec "$@"
}

# --- packages -----------------------------------------------------------------------------------

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "root is needed (or sudo) for: $*"
    fi
}

is_installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

version_of() { dpkg-query -W -f='${Version}' "$1" 2>/dev/null || true; }

# The packages that build each part.
PACKAGES_FOR_CPUD=(gcc libc6-dev binutils)
PACKAGES_FOR_KERNEL=(gcc libc6-dev make flex bison bc libelf-dev xz-utils dpkg-dev)
PACKAGES_FOR_INITRAMFS=(openssh-client xz-utils)
PACKAGES_FOR_COREBOOT=(gcc libc6-dev make flex bison python3 dpkg-dev xz-utils acpica-tools)
PACKAGES_FOR_SBOM=(jq)
PACKAGES_FOR_FIT=(device-tree-compiler u-boot-tools xz-utils)

# packages_for_rom: the packages that the loaded board's ROM needs besides.
packages_for_rom() {
    [ "${BOARD[payload]}" != fit ] || printf '%s\n' "${PACKAGES_FOR_FIT[@]}"
    [ "${BOARD[arch]}" != x86_64 ] || ! command -v gcc >/dev/null || printf 'lib32gcc-%s-dev\n' "$(gcc -dumpversion)"
    [ -z "${BOARD[packages]:-}" ] || printf '%s\n' "${BOARD[packages]}"
}

# packages_for_image: all packages that the loaded board's image needs, to be installed at once.
packages_for_image() {
    printf '%s\n' "${PACKAGES_FOR_CPUD[@]}" "${PACKAGES_FOR_KERNEL[@]}" "${PACKAGES_FOR_CROSS[@]}" \
        "${PACKAGES_FOR_INITRAMFS[@]}" "${PACKAGES_FOR_COREBOOT[@]}" "${PACKAGES_FOR_SBOM[@]}"
    packages_for_rom
}

# need_packages PACKAGE...: installs what is missing; with --no-install fails and names it.
need_packages() {
    command -v dpkg-query >/dev/null || die "this needs Debian 12 or 13 (no dpkg here)"
    local package missing=()
    for package in $(printf '%s\n' "$@" | sort -u); do
        is_installed "$package" && continue
        # QEMU's packages must all be of one version, so this one comes from the suite of the others.
        if [[ $package == qemu-system-* && $(version_of qemu-system-common) == *~bpo* ]]; then
            qemu_from_backports "$package"
        else
            missing+=("$package")
        fi
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    [ "$INSTALL" = yes ] || die "missing packages: ${missing[*]} (apt-get install ${missing[*]})"
    say "installing ${missing[*]}"
    update_package_lists
    install_packages "${missing[@]}"
}

update_package_lists() { logged "$CACHE/logs/apt-update.log" "apt-get update" as_root apt-get update; }

install_packages() {
    logged "$CACHE/logs/apt-install.log" "apt-get install" \
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

debian_codename() { sed -n 's/^VERSION_CODENAME=//p' /etc/os-release; }

# with_suite SUITE COMMAND...: runs COMMAND while apt also knows SUITE of the machine's own Debian
# archive: its entry is copied with another Suites line and removed afterwards.
with_suite() { with_entry deb "$@"; }

# with_sources SUITE COMMAND...: the same with SUITE's source packages.
with_sources() { with_entry deb-src "$@"; }

with_entry() (
    types=$1 suite=$2
    shift 2
    entry=/etc/apt/sources.list.d/cpud-$suite-$types.sources
    own=$(debian_entry)
    trap 'as_root rm -f "$entry"' EXIT
    sed -E "s/^Suites:.*/Suites: $suite/; s/^Types:.*/Types: $types/" <<<"$own" | as_root tee "$entry" >/dev/null
    logged "$CACHE/logs/apt-update-$suite.log" "apt-get update for $suite" as_root apt-get update
    "$@"
)

# debian_entry: the stanza that names the main suite of this release, in deb822 form.
debian_entry() {
    local name file
    name=$(debian_codename)
    # Debian's own entry first: others (Docker's) name their suites after Debian's releases.
    deb822_entry "$name" /etc/apt/sources.list.d/debian.sources && return
    awk -v suite="$name" '$1 == "deb" && $2 !~ /^\[/ && $3 == suite && $4 == "main" {
            print "Types: deb\nURIs: " $2 "\nSuites: " suite "\nComponents: main"; found = 1; exit }
        END { exit !found }' /etc/apt/sources.list 2>/dev/null && return
    for file in /etc/apt/sources.list.d/*.sources; do
        deb822_entry "$name" "$file" && return
    done
    die "no entry for $name in apt's sources to copy"
}

# deb822_entry SUITE FILE: the stanza of FILE that names SUITE and main.
deb822_entry() {
    [ -e "$2" ] && awk -v RS= -v suite="$1" '
        function names(field, word) { return $0 ~ "(^|\n)" field ":([^\n]*[ \t])?" word "([ \t\n]|$)" }
        names("Suites", suite) && names("Components", "main") { print; found = 1; exit }
        END { exit !found }' "$2"
}

# need_qemu_with_igb: installs a QEMU with igb: version 8, which Debian 12 has in its backports.
need_qemu_with_igb() {
    local major others=()
    major=$(qemu-system-x86_64 --version | sed -nE 's/^QEMU emulator version ([0-9]+).*/\1/p')
    [ "$major" -lt 8 ] || return 0
    ! is_installed qemu-system-arm || others+=(qemu-system-arm)
    qemu_from_backports qemu-system-x86 "${others[@]}"
}

qemu_from_backports() {
    local suite
    suite=$(debian_codename)-backports
    [ "$INSTALL" = yes ] || die "QEMU 8 or later is needed (apt-get install -t $suite $*)"
    say "QEMU 8 or later is needed: installing $* from $suite"
    with_suite "$suite" install_packages -t "$suite" "$@"
}

# --- pinned sources -----------------------------------------------------------------------------

# pinned_deb PACKAGE: the path of its .deb in the cache, in a version that versions.lock names. If the
# archive has none of those any more, the newest, with a warning and the line to record.
pinned_deb() {
    local package=$1 version hash file lists
    plain_cache
    mkdir -p "$CACHE/sources"
    exclusively sources
    for lists in old new; do # those of this machine may be of before the pinned version
        [ "$lists" = old ] || update_package_lists
        while read -r version hash; do
            file=$CACHE/sources/$package-$hash.deb
            [ -e "$file" ] || fetch_deb "$package" "$version" "$CACHE/sources" "$hash" >/dev/null || continue
            echo "$file"
            return
        done < <(awk -v package="$package" '$1 == package { print $2, $3 }' "$ROOT/versions.lock")
    done

    version=$(apt-cache policy "$package" | awk '$1 == "Candidate:" { print $2 }')
    case $version in '' | '(none)') die "Debian's archive has no package $package" ;; esac
    hash=$(fetch_deb "$package" "$version" "$CACHE/sources" '') || die "$package $version could not be downloaded"
    file=$CACHE/sources/$package-$hash.deb
    warn "the archive has no version of $package that versions.lock names; using the newest. To record it:"
    warn "$package $version $hash"
    echo "$file"
}

# fetch_deb PACKAGE VERSION FOLDER HASH: downloads to FOLDER/PACKAGE-HASH.deb and prints the hash; an
# empty HASH accepts any.
fetch_deb() {
    local package=$1 version=$2 folder=$3 hash=$4 part got
    part=$(mktemp -d "$folder/part.XXXXXX")
    if ! (cd "$part" && apt-get -q -o APT::Sandbox::User="$(id -un)" download "$package=$version") >"$part/log" 2>&1; then
        rm -rf "$part"
        return 1
    fi
    got=$(hash_of "$part"/*.deb)
    if [ -n "$hash" ] && [ "$got" != "$hash" ]; then
        rm -rf "$part"
        die "$package $version has the hash $got, but versions.lock says $hash"
    fi
    mv "$part"/*.deb "$folder/$package-$got.deb"
    rm -rf "$part"
    echo "$got"
}

# pinned_source PACKAGE SUITE: the folder in the cache with the files of a source package, in a version
# that versions.lock names (the hash is the .dsc's, which has those of the other files). If SUITE has none
# of those any more, SUITE's newest, with a warning and the line to record.
pinned_source() {
    local package=$1 suite=$2 version hash folder
    plain_cache
    mkdir -p "$CACHE/sources"
    exclusively sources # apt's own lock makes a second apt-get fail, and the entry is one for all
    while read -r version hash; do
        folder=$CACHE/sources/$package-$hash
        [ -e "$folder" ] || with_sources "$suite" fetch_source "$package" "$version" "$hash" >/dev/null || {
            [ $? -eq 2 ] || exit 1 # another hash, and it has said so
            continue
        }
        echo "$folder"
        return
    done < <(awk -v package="$package" '$1 == package { print $2, $3 }' "$ROOT/versions.lock")

    read -r version hash < <(with_sources "$suite" fetch_source "$package" "$suite" '') ||
        die "the sources of $package could not be downloaded from $suite"
    warn "the archive has no version of $package that versions.lock names; using the newest. To record it:"
    warn "$package $version $hash"
    echo "$CACHE/sources/$package-$hash"
}

# fetch_source PACKAGE VERSION HASH: downloads to the cache and prints version and hash; VERSION may be a suite.
# Status 2: not available.
fetch_source() {
    local package=$1 version=$2 hash=$3 part got separator='='
    [ -n "$hash" ] || separator=/
    part=$(mktemp -d "$CACHE/sources/part.XXXXXX")
    say "downloading the sources of $package"
    if ! (cd "$part" && apt-get -q -o APT::Sandbox::User="$(id -un)" source --download-only \
        "$package$separator$version") >"$CACHE/logs/$package-source.log" 2>&1; then
        rm -rf "$part"
        return 2
    fi
    got=$(hash_of "$part"/*.dsc)
    if [ -n "$hash" ] && [ "$got" != "$hash" ]; then
        rm -rf "$part"
        die "$package $version has the hash $got, but versions.lock says $hash"
    fi
    rm -rf "$CACHE/sources/$package-$got"
    mv "$part" "$CACHE/sources/$package-$got"
    printf '%s %s\n' "$(sed -n 's/^Version: //p' "$CACHE/sources/$package-$got"/*.dsc)" "$got"
}

# --- architectures ------------------------------------------------------------------------------

# arch_load ARCH: sets the variables of an architecture. CROSS is the compiler's prefix, and
# PACKAGES_FOR_CROSS are that compiler's packages; both are empty on a machine of this architecture.
arch_load() {
    case $1 in
    x86_64) KERNEL_ARCH=x86 KERNEL=bzImage BCJ=--x86 QEMU=qemu-system-x86_64 QEMU_PACKAGE=qemu-system-x86 ;;
    aarch64) KERNEL_ARCH=arm64 KERNEL=Image BCJ=--arm64 QEMU=qemu-system-aarch64 QEMU_PACKAGE=qemu-system-arm ;;
    *) die "no such architecture: $1 (there are: x86_64 aarch64)" ;;
    esac
    CROSS='' PACKAGES_FOR_CROSS=()
    if [ "$(uname -m)" != "$1" ]; then
        CROSS=$1-linux-gnu-
        PACKAGES_FOR_CROSS=("gcc-${1//_/-}-linux-gnu")
    fi
}

# rust_for TARGET PART: fills RUST with cargo's options for TARGET: none when this Rust has its PART (core or
# std) compiled. Otherwise PART is compiled too, from this Rust's source or from Debian's rustc-web, which
# is a recent version since browsers need one.
rust_for() {
    local sysroot
    sysroot=$(rustc --print sysroot)
    RUST=(--target "$1")
    [ ! -d "$sysroot/lib/rustlib/$1" ] || return 0
    if [ ! -e "$sysroot/lib/rustlib/src/rust/library/core/Cargo.toml" ]; then
        say "this Rust has no target $1 (rustup target add $1): using Debian's rustc-web"
        need_packages rustc-web rust-web-src
        export RUSTC=/usr/bin/rustc
    fi
    export RUSTC_BOOTSTRAP=1
    RUST+=("-Zbuild-std=$2")
}

# --- boards -------------------------------------------------------------------------------------

BOARD_KEYS=" inherit description arch kernel cmdline payload devicetree coreboot_make mainboard rom_size packages max_cpud max_initramfs max_kernel max_rom flash qemu_machine qemu_cpu qemu_boot qemu_flash qemu_memory min_memory qemu_smp qemu_net qemu_devices "
declare -A BOARD=()

# board_load NAME: fills BOARD from boards/NAME/board.conf and, before that, from what it inherits.
board_load() {
    [ -e "$ROOT/boards/$1/board.conf" ] || die "no board $1; there are: $(boards)"
    board_read "$ROOT/boards/$1/board.conf"
    BOARD[name]=$1
    # cpud with NFS has a budget of its own.
    [ -z "$NFS" ] || BOARD[kernel]+=' nfs' BOARD[max_cpud]=$((BOARD[max_cpud] + 4096))
    arch_load "${BOARD[arch]}"
}

boards() { (cd "$ROOT/boards" && for board in */board.conf; do printf '%s ' "${board%/*}"; done); }

# A line is KEY, blanks, the value to the end of the line; # starts a comment line.
board_read() {
    local file=$1 number=0 key value
    while read -r key value; do
        number=$((number + 1))
        case $key in '' | '#'*) continue ;; esac
        [[ $BOARD_KEYS == *" $key "* ]] || die "${file#"$ROOT/"}:$number: unknown key $key"
        [ -n "$value" ] || die "${file#"$ROOT/"}:$number: $key has no value"
        if [ "$key" = inherit ]; then
            [ -e "$ROOT/boards/$value.conf" ] || die "${file#"$ROOT/"}:$number: no boards/$value.conf to inherit"
            board_read "$ROOT/boards/$value.conf"
        else
            BOARD[$key]=$value
        fi
    done <"$file"
}

# --- what an appliance accepts --------------------------------------------------------------------

# checker: the path of this tree's cpud for this machine's processor, which has the parsers that read at boot.
checker() {
    local key built
    key=$(cd "$ROOT" && find Cargo.* cpud-min ninep ssh-lite -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
    key=$CACHE/check/$(key_of "$(uname -m)" "$key")
    (
        exclusively check
        [ ! -x "$key" ] || exit 0
        say "cpud: building one for this machine, to check what is written"
        mkdir -p "$CACHE/check" "$CACHE/logs"
        built=$(NFS='' run build-cpud.sh --arch "$(uname -m)" 2>"$CACHE/logs/check.log") || {
            tail -n 5 "$CACHE/logs/check.log" >&2
            die "nothing is written, since there is no cpud for this machine to check it"
        }
        put "$built" "$key"
    ) || exit 1
    echo "$key"
}

# cpud_check ARGUMENT...: runs cpud --check, which reports what is wrong.
cpud_check() {
    local cpud
    cpud=$(checker) || exit 1
    "$cpud" --check "$@" || exit 1
}

# public_keys FILE: prints its lines, if an appliance accepts all of them.
public_keys() {
    [ -r "$1" ] || die "no key file $1"
    cpud_check --authorized-keys "$1"
    awk 1 "$1" # which ends the last line when the file does not
}

# public_host_key FILE: prints the public half of a host key, if an appliance accepts it.
public_host_key() {
    [ -r "$1" ] || die "no host key $1"
    cpud_check --host-key "$1"
}

# --- sizes --------------------------------------------------------------------------------------

# size_row NAME BYTES LIMIT: prints a row of sizes.txt.
size_row() { printf '%-20s %9d of %9d bytes (%d%%)\n' "$1" "$2" "$3" $(($2 * 100 / $3)); }

# within NAME BYTES LIMIT: the same, and fails when the part exceeds its limit.
within() {
    size_row "$@"
    [ "$2" -le "$3" ] || die "$1 is $2 bytes, $(($2 - $3)) over its budget of $3"
}
