#!/usr/bin/env bash
# settings.sh ROM [options]
#
# Change one box's settings in the first area of a ROM file's flash map. Each setting that is named replaces
# those of its kind; the others stay. Without options, show them. cpud reads them at boot, and checks them
# before anything is written: docs/images.md.
#
#   --key FILE       a public key that may log in (any number of times), instead of those built in
#   --host-key FILE  the box's own key, an unencrypted ed25519 key, instead of the one built in
#   --hostname NAME
#   --address A/N    IPv4 address and prefix length of the first interface, instead of DHCP's
#   --gateway A      the default route
#   --clear          first erase them: then only what was built in counts
#   --nobody         even if nobody could log in with the result

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=rom.sh
. "$ROOT/scripts/rom.sh"

OCTET='(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])'
IPV4="($OCTET\\.){3}$OCTET"

rom='' action=show clear=no nobody=no named=()
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 077 # host keys pass through here
: >"$work/new"

# setting WORD VALUE-PATTERN VALUE
setting() {
    [[ $3 =~ ^$2$ ]] || die "--$1 $3 is no $1"
    printf '%s %s\n' "$1" "$3" >>"$work/new"
    named+=("$1")
}
while [ "$#" -gt 0 ]; do
    case $1 in
    --key)
        need_value "$@"
        public_keys "$2" >"$work/keys"
        sed 's/^/authorized-key /' "$work/keys" >>"$work/new"
        named+=(authorized-key) && shift 2
        ;;
    --host-key)
        need_value "$@"
        public_host_key "$2" >/dev/null
        awk '{ print "host-key " $0 }' "$2" >>"$work/new"
        named+=(host-key) && shift 2
        ;;
    --hostname) need_value "$@" && setting hostname '[A-Za-z0-9.-]{1,64}' "$2" && shift 2 ;;
    --address) need_value "$@" && setting address "$IPV4/([0-9]|[12][0-9]|3[0-2])" "$2" && shift 2 ;;
    --gateway) need_value "$@" && setting gateway "$IPV4" "$2" && shift 2 ;;
    --clear) clear=yes && shift ;;
    --nobody) nobody=yes && shift ;;
    --no-install) export INSTALL=no && shift ;;
    -h | --help) usage && exit ;;
    -*) unknown_option "$1" ;;
    *) [ -z "$rom" ] || die "one ROM at a time" && rom=$1 && shift ;;
    esac
done
[ -n "$rom" ] || die "which ROM? (see $ME --help)"
[ "$clear" = no ] && [ "${#named[@]}" -eq 0 ] || action='write'

: >"$work/text"
[ "$clear" = yes ] || settings_text "$rom" >"$work/text"
show() {
    if [ ! -s "$work/text" ]; then
        echo "no settings"
        return
    fi
    sed '/^host-key /d' "$work/text"
    ! grep -q '^host-key ' "$work/text" || echo "host-key (not shown)"
}
if [ $action = show ]; then
    show
    exit
fi

for word in "${named[@]}"; do sed -i "/^$word /d" "$work/text"; done
cat "$work/new" >>"$work/text"
put_settings "$rom" "$work/text"
[ "$nobody" = yes ] || check_somebody "$work/rom"
put "$work/rom" "$rom"
show
grep -q '^host-key ' "$work/text" || ! grep -Eq '^(hostname|address) ' "$work/text" ||
    warn "without a --host-key of its own this box uses the built-in one, like every other box with this ROM"
