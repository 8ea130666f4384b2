#!/usr/bin/env bash
# run-qemu.sh [--detach | --stop] [options] [-- QEMU FLAGS]
#
# Build a board's ROM, boot a writable copy of it, wait until cpud is ready, and print how to use it.
# Ctrl-C ends it. A board runs once for each --out: one that is running is ended when the new one can be
# started. Settings that the ROM had (settings.sh) stay in it.
#
#   --board BOARD       a folder of boards/ (default qemu-q35; qemu-aarch64 is the ARM one)
#   --rom FILE          boot this ROM as it is, and build nothing
#   --direct            boot the kernel and the initramfs without a ROM, and so without settings
#   --nfs               with the kernel's NFS client, for the stock client's -nfs
#   --key FILE          a public key that may log in (any number of times); default ~/.ssh/cpu_rsa.pub
#                       or ~/.ssh/id_ed25519.pub, else one is made beside the image
#   --port PORT         on 127.0.0.1, forwarded to the appliance (default 17010)
#   --memory SIZE       default is the board's
#   --smp N             processors, likewise
#   --net virtio|igb    network card (default virtio; igb needs QEMU 8)
#   --out DIR           what is built and the console's log go there (default out/BOARD)
#   --detach            return when it is ready and leave it running
#   --stop              end the one that was left running
#   --no-install        name missing packages instead of installing them

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=rom.sh
. "$ROOT/scripts/rom.sh"

READY='cpud.*ready'  # what cpud says on the console when it listens
PATIENCE=120         # seconds to wait for it; a second or two is usual
KVM_PATIENCE=10      # seconds in which a processor that is not emulated says its first word
board=qemu-q35 port=17010 memory='' smp='' net='' boot='' rom=''
action=run out='' build=() flags=()
while [ "$#" -gt 0 ]; do
    case $1 in
    --board) need_value "$@" && board=$2 && shift 2 ;;
    --rom) need_value "$@" && rom=$(realpath "$2") && shift 2 ;;
    --direct) boot=direct && shift ;;
    --nfs) export NFS=yes && shift ;;
    --key) need_value "$@" && build+=(--key "$2") && shift 2 ;;
    --port) need_value "$@" && port=$2 && shift 2 ;;
    --memory) need_value "$@" && memory=$2 && shift 2 ;;
    --smp) need_value "$@" && smp=$2 && shift 2 ;;
    --net) need_value "$@" && net=$2 && shift 2 ;;
    --out) need_value "$@" && out=$2 && shift 2 ;;
    --detach) action=detach && shift ;;
    --stop) action=stop && shift ;;
    --no-install) export INSTALL=no && shift ;;
    -h | --help) usage && exit ;;
    --) shift && flags=("$@") && break ;;
    *) unknown_option "$1" ;;
    esac
done
board_load "$board"
[ -n "${BOARD[qemu_machine]:-}" ] || die "boards/$board has no machine in QEMU"
boot=${boot:-${BOARD[qemu_boot]}} memory=${memory:-${BOARD[qemu_memory]}} smp=${smp:-${BOARD[qemu_smp]}}
net=${net:-${BOARD[qemu_net]}}
case $net in
virtio) card=virtio-net-pci ;;
igb) card=igb ;;
*) die "--net is virtio or igb, not $net" ;;
esac
[[ $port =~ ^[1-9][0-9]{0,4}$ && $port -le 65535 ]] || die "--port $port is no port"
[[ $smp =~ ^[1-9][0-9]{0,2}$ ]] || die "--smp $smp is no number of processors"
[[ $memory =~ ^[1-9][0-9]{0,6}[MG]?$ ]] || die "--memory $memory is no size (256M, 1G)"
case $memory in *G) mebibytes=$((${memory%G} * 1024)) ;; *) mebibytes=${memory%M} ;; esac
least=${BOARD[min_memory]:-0}
[ "$mebibytes" -ge "$least" ] || die "--memory $memory: boards/$board starts with ${least}M or more"
if [ -n "$rom" ]; then
    [ "$boot${build[*]}$NFS" = rom ] || die "--rom boots what is there: it goes with no --direct, --nfs or --key"
    [ -r "$rom" ] || die "no file $rom"
    [ "$(bytes_of "$rom")" -eq "${BOARD[rom_size]}" ] || die "$rom has $(bytes_of "$rom") bytes; a ROM of $board has ${BOARD[rom_size]}"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=$(realpath -m "${out:-$ROOT/out/$board}")
mkdir -p "$out"
console=$out/console.log

# running: prints the process of the pid file, if it is still a QEMU.
running() {
    local pid
    pid=$(cat "$out/qemu.pid" 2>/dev/null) || return 1
    [[ $(cat "/proc/$pid/comm" 2>/dev/null) == qemu-system* ]] && echo "$pid"
}

# end PID: ends it and waits until it is gone.
end() {
    kill "$1" 2>/dev/null || return 0
    timeout 10 tail --pid="$1" -f /dev/null || kill -KILL "$1" 2>/dev/null || true
}

if [ "$action" = stop ]; then
    pid=$(running) || die "nothing is running (no ${out#"$ROOT/"}/qemu.pid of a QEMU)"
    end "$pid"
    rm -f "$out/qemu.pid"
    say "stopped"
    exit
fi
exclusively "qemu-$(key_of "$out")"
if [ -n "$rom" ]; then
    need_packages "$QEMU_PACKAGE"
else
    # shellcheck disable=SC2046 # words
    need_packages "$QEMU_PACKAGE" $(packages_for_image)
    rom=$out/$board.rom
    if [ "$boot" != rom ]; then
        build+=(--no-rom)
        ! has_settings "$rom" || [ -z "$(settings_text "$rom")" ] || say "a direct boot leaves out the settings of $rom"
    fi
    run build-image.sh "$board" --out "$out" "${build[@]}"
fi
[ "$net" != igb ] || need_qemu_with_igb
if pid=$(running); then
    say "ending the one that is running (process $pid)"
    end "$pid"
fi

# --- boot ---------------------------------------------------------------------------------------

# accelerator: prints kvm where it works. The device file alone does not prove that, so a failure is remembered until the
# machine restarts.
accelerator() {
    if [ "$(cat "$CACHE/accelerator" 2>/dev/null)" != "$BOOT tcg" ] && [ -w /dev/kvm ] &&
        timeout 10 "$QEMU" -machine "${BOARD[qemu_machine]}" -accel kvm -cpu max \
            -nodefaults -display none -monitor stdio <<<quit >/dev/null 2>&1; then
        echo kvm
    else
        echo tcg
    fi
}
BOOT=$(cat /proc/sys/kernel/random/boot_id)

case $boot in
rom)
    # The machine writes to a copy, so the ROM stays as it was built.
    cp "$rom" "$out/flash.rom"
    [ -z "${BOARD[qemu_flash]:-}" ] || truncate -s "${BOARD[qemu_flash]}" "$out/flash.rom"
    firmware=(-drive "if=pflash,format=raw,unit=0,file=${out//,/,,}/flash.rom")
    ;;
direct) firmware=(-kernel "$out/$KERNEL" -initrd "$out/initramfs.cpio.xz" -append "${BOARD[cmdline]}") ;;
*) die "boards/$board/board.conf: no such way to boot: $boot" ;;
esac
devices=()
for device in ${BOARD[qemu_devices]}; do devices+=(-device "$device"); done

# wait_until_ready PID ACCELERATOR: fails when the accelerator, not the image, is at fault.
wait_until_ready() {
    local tries=0
    until grep -q "$READY" "$console"; do
        if ! kill -0 "$1" 2>/dev/null; then
            tail -n 15 "$console" "$out/qemu.log" >&2
            die "QEMU ended before cpud was ready"
        fi
        # A nested virtual machine may stop at its first instructions, with or without a message.
        if [ "$2" = kvm ] && { grep -q 'KVM internal error' "$out/qemu.log" ||
            { [ "$tries" -ge $((KVM_PATIENCE * 10)) ] && [ ! -s "$console" ]; }; }; then
            return 1
        fi
        tries=$((tries + 1))
        if [ "$tries" -ge $((PATIENCE * 10)) ]; then
            tail -n 15 "$console" >&2
            end "$1"
            die "cpud was not ready after $PATIENCE s; the console is in $console"
        fi
        sleep 0.1
    done
}

# instructions: prints what to type. The keys are the image's, unless the ROM's settings have others.
instructions() {
    local key=KEY there='' known shown settings='' programs='' preparation=''
    # The stock client requires $PWD, which has to be in one of the directories that it sends along.
    case $PWD/ in /home/* | /usr/* | /etc/* | /lib/* | /bin/*) ;; *) there='cd / && ' ;; esac
    [ "$boot" != rom ] || ! has_settings "$rom" || settings=$(settings_text "$rom")
    if [ "$rom" = "$out/$board.rom" ] && ! grep -q '^authorized-key ' <<<"$settings"; then
        key=$(head -n 1 "$out/keys.txt")
        key=$(printf %q "${key%.pub}")
    fi
    shown=$(sed -nE 's/^cpud: host key (SHA256:[A-Za-z0-9+\/]+).*/\1/p' "$console" | head -n 1)
    known=$(printf %q "$out/known_hosts")
    rm -f "$out/known_hosts"
    if [ "$(ssh-keygen -l -f "$out/host_key.pub" 2>/dev/null | cut -d' ' -f2)" = "$shown" ]; then
        printf '[127.0.0.1]:%s %s\n' "$port" "$(cut -d' ' -f1,2 "$out/host_key.pub")" >"$out/known_hosts"
    else
        known+=' -o StrictHostKeyChecking=accept-new' # of the fingerprint alone no line can be made
    fi
    if [ -n "$CROSS" ]; then
        preparation="namespace=\$($(printf %q "$ROOT/scripts/foreign-root.sh") --arch ${BOARD[arch]} --out $(printf %q "$out/root"))
      programs for ${BOARD[arch]}, unpacked into a folder of this machine
  "
        programs=" -namespace \"\$namespace\""
    fi
    cat <<EOF

  $preparation${there}cpu -key $key -sp $port$programs 127.0.0.1 ls /bin
      the stock client: go install github.com/u-root/cpu/cmds/cpu@latest
  ssh -i $key -o IdentitiesOnly=yes -o UserKnownHostsFile=$known -p $port root@127.0.0.1 help
      OpenSSH: what the appliance answers by itself

  host key    $shown
  console     $console
EOF
    [ "$key" != KEY ] || printf '  KEY         a private key that the ROM lets in\n'
}

# power_on ACCELERATOR: starts QEMU in a session of its own, as process $pid.
power_on() {
    : >"$console"
    local cpu=max
    [ "$1" = kvm ] || cpu=${BOARD[qemu_cpu]}
    alone setsid "$QEMU" -machine "${BOARD[qemu_machine]}" -accel "$1" -cpu "$cpu" -smp "$smp" -m "$memory" \
        -nodefaults -display none -serial "file:$console" "${firmware[@]}" \
        -netdev "user,id=net,hostfwd=tcp:127.0.0.1:$port-:17010" -device "$card,netdev=net,romfile=" \
        "${devices[@]}" "${flags[@]}" </dev/null >"$out/qemu.log" 2>&1 &
    pid=$!
    echo "$pid" >"$out/qemu.pid"
}

accelerator=$(accelerator)
say "booting ($accelerator)"
power_on "$accelerator"
if [ "$action" = run ]; then
    alone tail -n +1 -F "$console" 2>/dev/null &
    follower=$!
    trap 'end "$pid"; kill "$follower" 2>/dev/null; rm -f "$out/qemu.pid"; rm -rf "$work"' EXIT
    trap 'exit 130' INT TERM HUP
fi
if ! wait_until_ready "$pid" "$accelerator"; then
    say "KVM is available but does not run this image: emulating the processor from now on"
    echo "$BOOT tcg" >"$CACHE/accelerator"
    end "$pid"
    power_on tcg
    wait_until_ready "$pid" tcg
fi
exec {LOCK}>&- # who comes next may end this one
instructions
if [ "$action" = detach ]; then
    disown
    printf '  to end it   %s --board %s --out %s --stop\n\n' "$(printf %q "$0")" "$board" "$(printf %q "$out")"
else
    printf '  to end it   Ctrl-C\n\n'
    wait "$pid" || die "QEMU ended with an error: $(tail -n 1 "$out/qemu.log")"
fi
