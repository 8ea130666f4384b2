#!/usr/bin/env bash
# flash.sh BOARD HOST [options]
#
# Write a ROM into the flash part of a running appliance, over a cpu session: read the old content into
# out/BOARD/backup-TIME.rom, show what will change, write that, read it again, restart the appliance,
# and wait until it answers. The box keeps its settings unless the ROM has its own.
#
#   --rom FILE        default out/BOARD/BOARD.rom
#   --key FILE        the private key (default ~/.ssh/cpu_rsa)
#   --port PORT       default 17010
#   --client COMMAND  the whole beginning of a cpu command line, instead of the stock client's
#   --backup FILE     instead of out/BOARD/backup-TIME.rom; never written over
#   --retry FILE      after a failed write: start from the backup that it named, not from the part's content
#   --nobody          also when nobody could log in afterwards
#   --no-restart      leave it running
#   --no-install      name missing packages instead of installing them

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=rom.sh
. "$ROOT/scripts/rom.sh"

PATIENCE=180 # seconds until a restarted appliance answers; a real one may have memory to train
words=() rom='' key=$HOME/.ssh/cpu_rsa port=17010 client='' restart=yes nobody=no backup='' retry=''
while [ "$#" -gt 0 ]; do
    case $1 in
    --rom) need_value "$@" && rom=$2 && shift 2 ;;
    --key) need_value "$@" && key=$2 && shift 2 ;;
    --port) need_value "$@" && port=$2 && shift 2 ;;
    --client) need_value "$@" && client=$2 && shift 2 ;;
    --backup) need_value "$@" && backup=$2 && shift 2 ;;
    --retry) need_value "$@" && retry=$2 && shift 2 ;;
    --nobody) nobody=yes && shift ;;
    --no-restart) restart=no && shift ;;
    --no-install) export INSTALL=no && shift ;;
    -h | --help) usage && exit ;;
    -*) unknown_option "$1" ;;
    *) words+=("$1") && shift ;;
    esac
done
[ "${#words[@]}" -eq 2 ] || die "BOARD and HOST are needed (see $ME --help)"
board=${words[0]} host=${words[1]}
board_load "$board"
rom=$(realpath "${rom:-$ROOT/out/$board/$board.rom}")
work=$(mktemp -d /tmp/flash.XXXXXX)
trap 'rm -rf "$work"' EXIT
umask 077 # host keys pass through here

check_rom "$rom"
[ -z "$(cbfs_text "$rom" stand-ins)" ] || die "$rom has zeroes in place of the vendor's files: it would never boot"
case ${BOARD[flash]:-} in
mtd) need_packages mtd-utils ;;
flashrom) need_packages flashrom ;;
*) die "boards/$board says no way to flash it" ;;
esac
if [ -z "$client" ]; then
    command -v cpu >/dev/null || die "no cpu client on PATH: go install github.com/u-root/cpu/cmds/cpu@latest"
    client="cpu -key $key -sp $port $host"
fi

# there COMMAND...: runs it on the appliance, with this machine's programs and files.
there() {
    local line
    read -ra line <<<"$client"
    # Every session has this working directory.
    (cd /usr && PWD=/usr "${line[@]}" "$@" </dev/null)
}

# read_flash FILE: reads the appliance's whole flash part.
read_flash() {
    case ${BOARD[flash]} in
    mtd) there cat /dev/mtd0ro >"$1" ;;
    flashrom) there /usr/sbin/flashrom -p internal -r "/tmp/cpu$1" >"$work/log" ;;
    esac || die "the flash part of $host cannot be read"
}

# write_flash FILE: writes the blocks that differ. The file is on the appliance before the first block is erased.
write_flash() {
    local command
    case ${BOARD[flash]} in
    mtd) command='/usr/sbin/flashcp --partition /tmp/rom /dev/mtd0' ;;
    flashrom) command='/usr/sbin/flashrom -p internal -w /tmp/rom' ;;
    esac
    there sh -c "cat /tmp/cpu$1 >/tmp/rom && $command"
}

backup=${backup:-$ROOT/out/$board/backup-$(date +%Y%m%d-%H%M%S).rom}
if [ -n "$retry" ]; then
    backup=$retry # the part is half written, its settings perhaps, too
    check_rom "$backup"
else
    [ ! -e "$backup" ] || die "--backup $backup is there already"
    mkdir -p "$(dirname "$backup")"
    say "reading the flash part of $host"
    read_flash "$work/backup"
    (check_rom "$work/backup") || die "nothing was written; if writing failed before, --retry the backup of then"
    put "$work/backup" "$backup"
    say "kept as $backup"
fi

cp "$rom" "$work/new"
settings=$(area "$rom" SETTINGS 2>/dev/null || true)
if [ -n "$settings" ] && [ "$(cut_out "$rom" 0 8)" != cpud-set ] && [ "$settings" = "$(area "$backup" SETTINGS)" ]; then
    { cut_out "$backup" 0 "${settings#* }" && tail -c +$((${settings#* } + 1)) "$rom"; } >"$work/new"
fi
if [ -n "$settings" ]; then
    (check_settings "$work/new") || die "nothing was written; settings in the ROM take the place of those of $host"
    [ "$nobody" = yes ] || check_somebody "$work/new"
fi
if [ -z "$retry" ] && cmp -s "$work/new" "$backup"; then
    say "$host has this ROM already"
    exit
fi
compare_roms "$backup" "$work/new" >&2

say "writing; do not switch $host off"
again="do not restart $host before it has worked: once more, with --retry $backup, its old ROM"
write_flash "$work/new" >&2 || die "writing failed; $again"
read_flash "$work/after"
cmp -s "$work/after" "$work/new" || die "what was written reads differently; $again"
say "written, and read again"
[ "$restart" = yes ] || exit 0

boot_id() { there cat /proc/sys/kernel/random/boot_id 2>/dev/null; }
before=$(boot_id)
there sh -c 'kill -TERM 1' >/dev/null 2>&1 || true # the connection breaks
say "restarting $host"
deadline=$((SECONDS + PATIENCE))
until after=$(boot_id) && [ -n "$after" ] && [ "$after" != "$before" ]; do
    [ $SECONDS -lt $deadline ] || die "$host does not answer $PATIENCE s after its restart; boards/$board/README.md has the recovery"
    sleep 1
done
say "$host is back: $(there uname -snr | tr -cd '[:print:]')"
