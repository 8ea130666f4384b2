# shellcheck shell=bash disable=SC2154
# ROM files: their flash map and the files in their CBFS. Sourced after lib.sh by scripts that have a
# folder for scratch files in $work, never run.

# number FILE OFFSET BYTES: prints the little-endian number there.
number() { od -An -v -t "u$3" -j "$2" -N "$3" "$1" | tr -d ' \n'; }

# flash_map ROM: prints a row "NAME OFFSET SIZE" for each area of the FMAP (coreboot's Documentation/lib/flashmap.md).
flash_map() {
    local rom=$1 size at places areas i row offset length name
    [ -r "$rom" ] || die "no file $rom"
    size=$(bytes_of "$rom")
    # coreboot's own code has the signature too, behind the map or before it (ARM). Only the map has a fitting version
    # and size. If no place has, the first one is reported.
    mapfile -t places < <(grep -abo __FMAP__ "$rom" | cut -d: -f1)
    [ "${#places[@]}" -gt 0 ] || die "$rom has no flash map, so it is no coreboot ROM"
    for at in "${places[@]}" "${places[0]}"; do
        [ $((at + 56)) -gt "$size" ] || [ "$(number "$rom" $((at + 8)) 1) $(number "$rom" $((at + 18)) 4)" != "1 $size" ] || break
    done
    [ $((at + 56)) -le "$size" ] || die "$rom: its flash map is cut off"
    [ "$(number "$rom" $((at + 8)) 1)" = 1 ] || die "$rom: its flash map is damaged (version)"
    [ "$(number "$rom" $((at + 18)) 4)" = "$size" ] ||
        die "$rom: its flash map is for $(number "$rom" $((at + 18)) 4) bytes, and the file has $size"
    areas=$(number "$rom" $((at + 54)) 2)
    for ((i = 0; i < areas; i++)); do
        row=$((at + 56 + 42 * i))
        [ $((row + 42)) -le "$size" ] || die "$rom: its flash map is cut off"
        offset=$(number "$rom" "$row" 4)
        length=$(number "$rom" $((row + 4)) 4)
        name=$(cut_out "$rom" $((row + 8)) 32 | tr -d '\0')
        [[ $name =~ ^[A-Za-z0-9_-]+$ ]] || die "$rom: its flash map is damaged (name of area $((i + 1)))"
        [ $((offset + length)) -le "$size" ] || die "$rom: its flash map is damaged ($name ends at $((offset + length)) of $size)"
        printf '%s %d %d\n' "$name" "$offset" "$length"
    done
}

# area ROM NAME: prints the area's "OFFSET SIZE".
area() {
    local map found
    map=$(flash_map "$1") || exit 1
    found=$(awk -v name="$2" '$1 == name { print $2, $3 }' <<<"$map")
    [ -n "$found" ] || die "$1: its flash map has no area $2"
    echo "$found"
}

# cut_out FILE OFFSET SIZE: prints those bytes.
cut_out() { head -c $(($2 + $3)) "$1" | tail -c "$3"; }

# cbfstool: coreboot's own (from a board that needs no file of a vendor); other versions write payloads differently.
cbfstool() {
    if [ -z "${CBFSTOOL:-}" ]; then
        local machine=qemu-q35
        [ "${BOARD[arch]:-}" != aarch64 ] || machine=qemu-aarch64
        CBFSTOOL=$(run build-coreboot.sh --board "$machine")/cbfstool || exit 1
    fi
    "$CBFSTOOL" "$@"
}

# cbfs_files ROM: prints a row "NAME OFFSET SIZE TYPE" for each file; the offset is in the ROM, holes are "(empty)".
# Blanks in a name ("cbfs master header", in older ROMs) become _. A name may contain anything, even the tabs between
# cbfstool's columns. Only numbers may get into arithmetic, since bash would execute other text there.
cbfs_files() {
    local start
    start=$(area "$1" COREBOOT) || exit 1
    cbfstool "$1" print -k 2>/dev/null >"$work/files" || die "$1: its CBFS is damaged"
    ! tail -n +2 "$work/files" | LC_ALL=C awk -F'\t' '
        NF != 6 || $1 !~ /^[!-~ ]+$/ || $2 !~ /^0x[0-9a-f]+$/ || $3 !~ /^[!-~ ]+$/ || $6 !~ /^0x[0-9a-f]+$/ { odd = 1 }
        END { exit !odd }' || die "$1: its CBFS is damaged (the row of a file)"
    tail -n +2 "$work/files" | awk -F'\t' '{ gsub(/ /, "_", $1); print $1, $2, $6, $3 }' | while read -r file offset length type; do
        printf '%s %d %d %s\n' "$file" $((${start% *} + offset)) "$length" "$type"
    done
}

# payload_hash ROM: SHA-256 of its payload without the CBFS header, as the word `version` on the appliance prints it.
payload_hash() {
    local offset size header
    read -r offset size < <(cbfs_files "$1" | awk '$1 == "fallback/payload" { print $2, $3 }')
    [ -n "$offset" ] || die "$1 has no payload"
    header=$(od --endian=big -An -t u4 -j $((offset + 20)) -N 4 "$1")
    cut_out "$1" $((offset + header)) $((size - header)) | sha256sum | cut -d' ' -f1
}

# cbfs_text ROM NAME: prints the content of a small file; nothing when there is no such file.
cbfs_text() {
    rm -f "$work/text"
    cbfstool "$1" extract -n "$2" -f "$work/text" >/dev/null 2>&1 || return 0
    cat "$work/text"
}

# --- settings -------------------------------------------------------------------------------------

SETTINGS_HEADER=48 # bytes before their text: cpud-min/src/plan/settings.rs has the format
# The content of the CBFS file by which build-rom.sh marks a ROM without built-in keys.
NO_KEYS='no keys are built in: scripts/settings.sh writes them'

# settings_text ROM: prints the lines of its settings, if there are any.
settings_text() {
    local place offset size length
    place=$(area "$1" SETTINGS) || exit 1
    read -r offset size <<<"$place"
    cut_out "$1" "$offset" "$size" >"$work/settings"
    [ "$(head -c 8 "$work/settings" | tr -d '\0')" = cpud-set ] || return 0
    length=$(number "$work/settings" 12 4)
    [ "$length" -le $((size - SETTINGS_HEADER)) ] || die "$1: its settings are damaged"
    cut_out "$work/settings" $SETTINGS_HEADER "$length" >"$work/settings-text"
    [ "$(hash_of "$work/settings-text")" = "$(od -An -v -tx1 -j16 -N32 "$work/settings" | tr -d ' \n')" ] ||
        die "$1: its settings are damaged"
    cat "$work/settings-text"
}

# bytes HEX: prints them as bytes.
bytes() {
    local i
    for ((i = 0; i < ${#1}; i += 2)); do printf '%b' "\\x${1:i:2}"; done
}
little_endian() { bytes "$(printf '%08x' "$1" | sed -E 's/(..)(..)(..)(..)/\4\3\2\1/')"; }

# put_settings ROM TEXT: copies ROM to $work/rom with the lines of the file TEXT as its settings, if an appliance accepts
# them; an empty file erases the settings.
put_settings() {
    local place offset size length
    place=$(area "$1" SETTINGS) || exit 1
    read -r offset size <<<"$place"
    length=$(bytes_of "$2")
    [ "$length" -le $((size - SETTINGS_HEADER)) ] ||
        die "the settings are $length bytes, and there is room for $((size - SETTINGS_HEADER))"
    {
        if [ "$length" -gt 0 ]; then
            printf cpud-set
            little_endian 1
            little_endian "$length"
            bytes "$(hash_of "$2")"
            cat "$2"
        fi
        head -c "$size" /dev/zero | tr '\0' '\377'
    } >"$work/area"
    { cut_out "$1" 0 "$offset" && head -c "$size" "$work/area" && tail -c +$((offset + size + 1)) "$1"; } >"$work/rom"
    [ "$length" -eq 0 ] || check_settings "$work/rom"
}

# has_settings ROM: whether it has an area for settings.
has_settings() (area "$1" SETTINGS) >/dev/null 2>&1

# check_settings ROM: cpud checks its settings, if it has some. They are the first area on every board that has them.
check_settings() {
    local text
    text=$(settings_text "$1") || exit 1
    [ -z "$text" ] || cpud_check --settings "$1"
}

# check_somebody ROM: fails when keys are neither built in nor in the settings, so that nobody could log in.
check_somebody() {
    local text word
    grep -aqF "$NO_KEYS" "$1" || return 0
    text=$(settings_text "$1") || exit 1
    for word in authorized-key host-key; do
        grep -q "^$word " <<<"$text" || die "nobody could log in: the ROM has no $word built in, nor in its settings" \
            "(--nobody writes it all the same)"
    done
}

# free_bytes ROM: the bytes that no file uses; largest_hole ROM: the largest contiguous piece of them.
free_bytes() { cbfs_files "$1" | awk '$1 == "(empty)" { sum += $3 } END { print sum + 0 }'; }
largest_hole() { cbfs_files "$1" | awk '$1 == "(empty)" && $3 > most { most = $3 } END { print most + 0 }'; }

# is_for_board ROM: whether its coreboot was built for the loaded board's mainboard.
is_for_board() {
    local info
    info=$(cbfs_text "$1" build_info)
    # shellcheck disable=SC2053 # a pattern
    [[ "$(sed -n 's/^MAINBOARD_VENDOR: //p' <<<"$info") $(sed -n 's/^MAINBOARD_PART_NUMBER: //p' <<<"$info")" == ${BOARD[mainboard]} ]]
}

# check_rom ROM: fails unless it is whole and for the loaded board.
check_rom() {
    [ -r "$1" ] || die "no file $1"
    [ "$(bytes_of "$1")" -eq "${BOARD[rom_size]}" ] ||
        die "$1 has $(bytes_of "$1") bytes; a ROM of ${BOARD[name]} has ${BOARD[rom_size]}"
    cbfs_files "$1" >"$work/checked"
    is_for_board "$1" || die "$1 is no ROM of ${BOARD[name]}: $(cbfs_text "$1" build_info | sed -n 's/^MAINBOARD[A-Z_]*: //p' | paste -sd' ')"
}

# parts ROM: prints a row "NAME OFFSET SIZE" for each area except the CBFS, and for each file of the CBFS.
parts() {
    flash_map "$1" | awk '$1 != "COREBOOT" && $1 != "FMAP" && $1 != "BIOS"'
    cbfs_files "$1" | awk '$1 != "(empty)" { print $1, $2, $3 }'
}

# compare_roms OLD NEW: prints a row for each part, and how it differs.
compare_roms() {
    local name offset size was
    parts "$1" >"$work/old-parts" && parts "$2" >"$work/new-parts"
    printf '%-24s %10s %9s\n' part offset bytes
    while read -r name offset size; do
        was=$(awk -v name="$name" '$1 == name { print $2, $3; exit }' "$work/old-parts")
        if [ -z "$was" ]; then
            was='new'
        elif [ "$was" != "$offset $size" ]; then
            was='changed (was at offset and size '"$was"')'
        elif cmp -s <(cut_out "$1" "$offset" "$size") <(cut_out "$2" "$offset" "$size"); then
            was='the same'
        else
            was='changed'
        fi
        printf '%-24s %#10x %9d  %s\n' "$name" "$offset" "$size" "$was"
    done <"$work/new-parts"
    awk 'NR == FNR { new[$1]; next } !($1 in new) { printf "%-24s %#10x %9d  removed\n", $1, $2, $3 }' "$work/new-parts" "$work/old-parts"
}
