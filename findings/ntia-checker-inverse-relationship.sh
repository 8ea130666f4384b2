#!/usr/bin/env bash
# ntia-checker-inverse-relationship.sh
#
# Package    ntia-conformance-checker 6.0.0, with spdx-tools 0.8.5
# Guess      a part is looked at whichever way its relationship is written: SPDX 2.3 has "A CONTAINS B" as well as
#            "B CONTAINED_BY A", and "A DEPENDS_ON B" as well as "B DEPENDENCY_OF A"
# Behaviour  relationships are followed from their first element to their second alone. A part that is tied to the whole
#            by CONTAINED_BY or DEPENDENCY_OF is a "floating" element, which is left out: the document conforms without
#            the part's supplier, which is missing
# Seen       CONTAINS: False, CONTAINED_BY: True, DEPENDS_ON: False, DEPENDENCY_OF: True
# Matters    "conformant" is said of what the checker could reach. scripts/build-sbom.sh writes CONTAINS, from the ROM to
#            each part, and the test of its bill takes the suppliers away and sees the checker refuse that
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check ntia-conformance-checker==6.0.0 spdx-tools==0.8.5

# conforms FROM RELATIONSHIP TO: what is said of a document whose whole has a supplier, and its part has none.
conforms() {
    cat >sbom.spdx.json <<end
{
  "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": "whole",
  "documentNamespace": "https://example.org/whole",
  "creationInfo": { "created": "2026-01-01T00:00:00Z", "creators": ["Tool: by-hand"] },
  "packages": [
    { "SPDXID": "SPDXRef-whole", "name": "whole", "versionInfo": "1", "downloadLocation": "NOASSERTION",
      "filesAnalyzed": false, "supplier": "Organization: example" },
    { "SPDXID": "SPDXRef-part", "name": "part", "versionInfo": "1", "downloadLocation": "NOASSERTION",
      "filesAnalyzed": false }
  ],
  "relationships": [
    { "spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-whole" },
    { "spdxElementId": "SPDXRef-$1", "relationshipType": "$2", "relatedSpdxElement": "SPDXRef-$3" }
  ]
}
end
    if venv/bin/pyspdxtools -i sbom.spdx.json; then
        printf '%s: %s' "$2" "$(venv/bin/ntia-checker sbom.spdx.json 2>/dev/null | sed -n 's/^Conformant: //p')"
    else
        printf '%s: not valid' "$2"
    fi
}

seen="$(conforms whole CONTAINS part), $(conforms part CONTAINED_BY whole), "
seen+="$(conforms whole DEPENDS_ON part), $(conforms part DEPENDENCY_OF whole)"
echo "$seen"
[ "$seen" = 'CONTAINS: False, CONTAINED_BY: True, DEPENDS_ON: False, DEPENDENCY_OF: True' ]
