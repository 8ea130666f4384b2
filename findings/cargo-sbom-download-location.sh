#!/usr/bin/env bash
# cargo-sbom-download-location.sh
#
# Package    cargo-sbom 0.10.0, with spdx-tools 0.8.5; it is compiled, which takes minutes
# Guess      the SPDX document of a program with one dependency, a crate from the registry, is valid
# Behaviour  a crate's downloadLocation is cargo's own name of the registry, with the scheme "registry+https". SPDX 2.3,
#            section 7.7, has URLs and the prefixes of git, hg, svn and bzr, so spdx-tools refuses the document. A crate
#            without dependencies has a valid one
# Seen       alone: valid, with cfg-if: 1 of 2 locations begins with registry+https, invalid
# Matters    a bill of materials has to pass the tools of those who read it: scripts/build-sbom.sh writes the crate's page
#            as its location, and a test runs spdx-tools on it
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cargo install --quiet --locked --root tools --version 0.10.0 cargo-sbom
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check spdx-tools==0.8.5

cargo new --quiet --vcs none program
verdict() {
    tools/bin/cargo-sbom --project-directory program >sbom.spdx.json
    if said=$(venv/bin/pyspdxtools -i sbom.spdx.json 2>&1); then
        echo valid
    elif [[ $(wc -l <<<"$said") -eq 2 && $said == *'must be a valid URL'* ]]; then
        echo invalid # for this, and for nothing else
    else
        printf '%s\n' "$said"
    fi
}
alone=$(verdict)
echo 'cfg-if = "=1.0.4"' >>program/Cargo.toml
with=$(verdict)
locations=$(grep -c '"downloadLocation"' sbom.spdx.json) odd=$(grep -c '"downloadLocation": "registry+https:' sbom.spdx.json)
seen="alone: $alone, with cfg-if: $odd of $locations locations begins with registry+https, $with"
echo "$seen"
[ "$seen" = 'alone: valid, with cfg-if: 1 of 2 locations begins with registry+https, invalid' ]
