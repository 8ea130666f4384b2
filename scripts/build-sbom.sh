#!/usr/bin/env bash
# build-sbom.sh [--board BOARD] --out DIR [--other-coreboot]
#
# Write DIR/sbom.spdx.json (SPDX 2.3): everything that DIR/BOARD.rom was built from, with versions,
# hashes, licences, who supplies it, and its name in databases of vulnerabilities (purl). The same ROM
# gives the same bytes.
#
#   --other-coreboot  not Debian's: that of COREBOOT_SRC, or of a vendor's ROM

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=rom.sh
. "$ROOT/scripts/rom.sh"

board=qemu-q35 out='' other=no
while [ "$#" -gt 0 ]; do
    case $1 in
    --board) need_value "$@" && board=$2 && shift 2 ;;
    --out) need_value "$@" && out=$2 && shift 2 ;;
    --other-coreboot) other=yes && shift ;;
    -h | --help) usage && exit ;;
    *) unknown_option "$1" ;;
    esac
done
board_load "$board"
rom=$out/$board.rom
[ -r "$rom" ] || die "no ROM $rom (scripts/build-image.sh makes it)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# package NAME VERSION LICENCE SHA256 WHERE SUPPLIER PURL: a row for one of the ROM's parts; - is not known.
package() { (IFS=$'\t' && printf '%s\n' "$*"); }

OURS="Organization: contributors of cpud"

# What versions.lock says of a source that is in the cache.
source_row() { # PACKAGE LICENCE
    local package version hash
    while read -r package version hash; do
        if compgen -G "$CACHE/sources/$package-$hash*" >/dev/null; then
            package "$package" "$version" "$2" "$hash" "https://packages.debian.org/source/$package" \
                "Organization: Debian" "pkg:deb/debian/$package@${version//+/%2B}?arch=source"
            return
        fi
    done < <(awk -v package="$1" '$1 == package' "$ROOT/versions.lock")
    package "$1" - "$2" - NOASSERTION NOASSERTION -
}

# The crates that are linked into cpud; Cargo.lock has their hashes.
crates() {
    local name version licence hash
    cargo tree --quiet --manifest-path "$ROOT/Cargo.toml" --locked --package cpud-min --edges normal,no-proc-macro \
        --target "${BOARD[arch]}-unknown-linux-gnu" --prefix none --no-dedupe --format '{p}|{l}' |
        sed -E 's/^([^ ]+) v([^ |]+)[^|]*\|/\1|\2|/' | sort -u |
        while IFS='|' read -r name version licence; do
            hash=$(awk -v name="name = \"$name\"" -v version="version = \"$version\"" \
                'BEGIN { RS = "" } index($0, name) && index($0, version) && match($0, /checksum = "[0-9a-f]+"/) {
                    print substr($0, RSTART + 12, RLENGTH - 13); exit }' "$ROOT/Cargo.lock")
            if [ -n "$hash" ]; then
                package "$name" "$version" "${licence//\// OR }" "$hash" "https://crates.io/crates/$name/$version" \
                    "Organization: crates.io" "pkg:cargo/$name@${version//+/%2B}"
            else
                package "$name" "$version" "${licence//\// OR }" - NOASSERTION "$OURS" -
            fi
        done
}

{
    source_row linux-source-6.12 'GPL-2.0-only WITH Linux-syscall-note'
    [[ $(cbfs_files "$rom") != *fallback/romstage* ]] || if [ $other = no ]; then
        source_row coreboot GPL-2.0-only
    else
        package coreboot - GPL-2.0-only - NOASSERTION NOASSERTION -
    fi
    [[ $(cbfs_files "$rom") != *fallback/bl31* ]] || source_row arm-trusted-firmware BSD-3-Clause
    crates
} | jq -SRn --arg board "$board" --arg hash "$(hash_of "$rom")" --arg ours "$OURS" '[inputs / "\t" | {
    SPDXID: ("SPDXRef-" + (.[0] + "-" + .[1] | gsub("[^A-Za-z0-9.-]"; "-"))),
    name: .[0], downloadLocation: .[4], filesAnalyzed: false,
    licenseConcluded: .[2], licenseDeclared: .[2], copyrightText: "NOASSERTION", supplier: .[5]
} + if .[1] == "-" then {} else { versionInfo: .[1] } end
  + if .[3] == "-" then {} else { checksums: [{ algorithm: "SHA256", checksumValue: .[3] }] } end
  + if .[6] == "-" then {} else { externalRefs: [{ referenceCategory: "PACKAGE-MANAGER",
      referenceType: "purl", referenceLocator: .[6] }] } end] | {
    spdxVersion: "SPDX-2.3", dataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT", name: ($board + ".rom"),
    documentNamespace: ("https://spdx.org/spdxdocs/" + $board + "-" + $hash),
    creationInfo: { created: "1970-01-01T00:00:00Z", creators: ["Tool: build-sbom.sh"] },
    packages: ([{ SPDXID: "SPDXRef-rom", name: ($board + ".rom"), versionInfo: $hash[:16],
        downloadLocation: "NOASSERTION", filesAnalyzed: false, licenseConcluded: "NOASSERTION",
        licenseDeclared: "NOASSERTION", copyrightText: "NOASSERTION", supplier: $ours,
        checksums: [{ algorithm: "SHA256", checksumValue: $hash }] }] + .),
    relationships: ([{ spdxElementId: "SPDXRef-DOCUMENT", relatedSpdxElement: "SPDXRef-rom",
        relationshipType: "DESCRIBES" }] + map({ spdxElementId: "SPDXRef-rom",
        relatedSpdxElement: .SPDXID, relationshipType: "CONTAINS" }))
}' >"$work/sbom"
mv "$work/sbom" "$out/sbom.spdx.json"
