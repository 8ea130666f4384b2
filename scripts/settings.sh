#!/usr/bin/env bash
# settings.sh ROM [options]
#
# Write one box's settings into the first area of a ROM file's flash map, in place of what was there;
# without options show them. cpud reads them at boot: docs/images.md.
#
#   --key FILE       a public key that may log in (any number of times), instead of those built in
#   --host-key FILE  the box's own key, an unencrypted ed25519 key, instead of the one built in
#   --hostname NAME
#   --address A/N    IPv4 address and prefix length of the first interface, instead of DHCP's
#   --gateway A      the default route
#   --clear          erase them: only what was built in holds

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=rom.sh
. "$ROOT/scripts/rom.sh"

OCTET='(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])'
IPV4="($OCTET\\.){3}$OCTET" # as cpud reads it: one line that it does not, and it takes none
HEADER=48 # bytes before the text: cpud-min/src/plan/settings.rs has the format

rom='' action=show
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 077 # host keys pass through here
: >"$work/text"

# setting WORD VALUE-PATTERN VALUE
setting() {
    [[ $3 =~ ^$2$ ]] || die "--$1 $3 is no $1"
    printf '%s %s\n' "$1" "$3" >>"$work/text"
    action='write'
}
while [ "$#" -gt 0 ]; do
    case $1 in
    --key)
        need_value "$@"
        public_keys "$2" >"$work/keys"
        sed 's/^/authorized-key /' "$work/keys" >>"$work/text"
        action='write' && shift 2
        ;;
    --host-key)
        need_value "$@"
        public_host_key "$2" >/dev/null
        awk '{ print "host-key " $0 }' "$2" >>"$work/text"
        action='write' && shift 2
        ;;
    --hostname) need_value "$@" && setting hostname '[A-Za-z0-9.-]{1,64}' "$2" && shift 2 ;;
    --address) need_value "$@" && setting address "$IPV4/([0-9]|[12][0-9]|3[0-2])" "$2" && shift 2 ;;
    --gateway) need_value "$@" && setting gateway "$IPV4" "$2" && shift 2 ;;
    --clear) action=clear && shift ;;
    --no-install) export INSTALL=no && shift ;;
    -h | --help) usage && exit ;;
    -*) unknown_option "$1" ;;
    *) [ -z "$rom" ] || die "one ROM at a time" && rom=$1 && shift ;;
    esac
done
[ -n "$rom" ] || die "which ROM? (see $ME --help)"
place=$(area "$rom" SETTINGS) || exit 1
read -r offset size <<<"$place"

show() {
    cut_out "$rom" "$offset" "$size" >"$work/area"
    local length
    if [ "$(head -c 8 "$work/area")" != cpud-set ]; then
        echo "no settings"
        return
    fi
    length=$(number "$work/area" 12 4)
    cut_out "$work/area" $HEADER "$length" >"$work/text"
    [ "$(hash_of "$work/text")" = "$(od -An -v -tx1 -j16 -N32 "$work/area" | tr -d ' \n')" ] ||
        die "$rom: its settings are damaged"
    sed '/^host-key /d' "$work/text"
    ! grep -q '^host-key ' "$work/text" || echo "host-key (not shown)"
}

# bytes HEX: as such.
bytes() {
    local i
    for ((i = 0; i < ${#1}; i += 2)); do printf '%b' "\\x${1:i:2}"; done
}
little_endian() { bytes "$(printf '%08x' "$1" | sed -E 's/(..)(..)(..)(..)/\4\3\2\1/')"; }

if [ $action = show ]; then
    show
    exit
fi
[ "$(bytes_of "$work/text")" -le $((size - HEADER)) ] ||
    die "the settings are $(bytes_of "$work/text") bytes, and there is room for $((size - HEADER))"
{
    cut_out "$rom" 0 "$offset"
    {
        if [ $action = write ]; then
            printf cpud-set
            little_endian 1
            little_endian "$(bytes_of "$work/text")"
            bytes "$(hash_of "$work/text")"
            cat "$work/text"
        fi
        head -c "$size" /dev/zero | tr '\0' '\377'
    } >"$work/area"
    head -c "$size" "$work/area"
    tail -c +$((offset + size + 1)) "$rom"
} >"$work/rom"
put "$work/rom" "$rom"
[ $action = clear ] || show
