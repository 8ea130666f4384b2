#!/usr/bin/env bash
# spdx-tools-download-address.sh
#
# Package    spdx-tools 0.8.5, the validator of SPDX documents in Python
# Guess      a package's downloadLocation may be any URL (SPDX 2.3, section 7.7), with an IP address for its host, too
# Behaviour  its pattern for a host wants a name that ends with a dot and two to five letters: addresses of IPv4 and IPv6
#            and names without a dot are "invalid". The scheme may be missing, so a file's name passes for a URL
# Seen       name: valid, IPv4: invalid, IPv6: invalid, no dot: invalid, linux.tar.xz: valid
# Matters    a lab that builds from a mirror of its own, by address or by a short name, has a bill of materials that this
#            validator refuses. scripts/build-sbom.sh names the public archives, whatever mirror the builder uses
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check spdx-tools==0.8.5

# verdict LOCATION: what is said of a document with one package that is downloaded there.
verdict() {
    cat >sbom.spdx.json <<end
{
  "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": "linux",
  "documentNamespace": "https://example.org/linux",
  "creationInfo": { "created": "2026-01-01T00:00:00Z", "creators": ["Tool: by-hand"] },
  "packages": [
    { "SPDXID": "SPDXRef-linux", "name": "linux", "downloadLocation": "$1", "filesAnalyzed": false }
  ],
  "relationships": [
    { "spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-linux" }
  ]
}
end
    if said=$(venv/bin/pyspdxtools -i sbom.spdx.json 2>&1); then
        echo valid
    elif [[ $(wc -l <<<"$said") -eq 2 && $said == *'must be a valid URL'* ]]; then
        echo invalid # for this, and for nothing else
    else
        printf '%s\n' "$said"
    fi
}

seen="name: $(verdict https://mirror.example/linux.tar.xz), IPv4: $(verdict https://192.0.2.7/linux.tar.xz), "
seen+="IPv6: $(verdict 'https://[2001:db8::7]/linux.tar.xz'), no dot: $(verdict https://mirror/linux.tar.xz), "
seen+="linux.tar.xz: $(verdict linux.tar.xz)"
echo "$seen"
[ "$seen" = 'name: valid, IPv4: invalid, IPv6: invalid, no dot: invalid, linux.tar.xz: valid' ]
