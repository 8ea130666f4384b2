#!/usr/bin/env bash
# sizes.sh [BOARD] [--out DIR] [--check | --write]
#
# Print the table of sizes of a board's image (default qemu-q35), from sizes.txt and layout.txt in DIR
# (default out/BOARD). Its page has that table between two comments: README.md for qemu-q35, the board's
# own README.md for others.
#
#   --write   put it there
#   --check   fail where the page differs, in a figure by more than 1 KiB: keys and commits move some by a
#             few bytes. With other compilers than those that the page names it ends with 2 and says so

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

board='' out='' action=print
while [ "$#" -gt 0 ]; do
    case $1 in
    --out) need_value "$@" && out=$2 && shift 2 ;;
    --check | --write) action=${1#--} && shift ;;
    -h | --help) usage && exit ;;
    -*) unknown_option "$1" ;;
    *) [ -z "$board" ] || die "one board at a time" && board=$1 && shift ;;
    esac
done
board=${board:-qemu-q35}
board_load "$board"
out=${out:-$ROOT/out/$board}
for file in sizes.txt layout.txt; do [ -r "$out/$file" ] || die "no $out/$file (scripts/build-image.sh $board makes it)"; done

# bytes_in NAMES: of the areas and files in the flash part whose name is this pattern.
bytes_in() { awk -v names="^($1)\$" '$1 ~ names { sum += $3 } END { print sum + 0 }' "$out/layout.txt"; }

# bytes_of_part NAME: before it is packed.
bytes_of_part() { awk -v name="$1" '$1 == name { print $2 }' "$out/sizes.txt"; }

row() { printf '| %s | %s |\n' "$1" "$2" | sed -E ':a; s/([0-9])([0-9]{3})([^0-9])/\1,\2\3/; ta'; }

table() {
    local boot stages payload vendor trusted hole unused
    boot=$(bytes_in 'bootblock|BOOTBLOCK') stages=$(bytes_in 'fallback/(romstage|postcar|ramstage)')
    trusted=$(bytes_in fallback/bl31) vendor=$(bytes_in 'AGESA|apu/amdfw') payload=$(bytes_in fallback/payload)
    unused=$(awk '/^not used:/ { print $3 }' "$out/layout.txt")
    hole=$(awk '$1 == "(empty)" && $3 > most { most = $3 } END { print most + 0 }' "$out/layout.txt")
    printf '| what | bytes |\n|---|---|\n'
    row "\`cpud\`" "$(bytes_of_part cpud)"
    row "initramfs: \`cpud\` and keys, by XZ" "$(bytes_of_part initramfs.cpio.xz)"
    row "kernel (\`$KERNEL\`)" "$(bytes_of_part "$KERNEL")"
    row "payload: kernel and initramfs as they are packed" "$payload"
    row bootblock "$boot"
    row "coreboot's later stages" "$stages"
    [ "$trusted" -eq 0 ] || row "TF-A's BL31" "$trusted"
    [ "$vendor" -eq 0 ] || row "the vendor's files" "$vendor"
    row "settings, flash map, small files" \
        "$((BOARD[rom_size] - unused - boot - stages - trusted - vendor - payload))"
    row "in use" "$((BOARD[rom_size] - unused))"
    row "not used" "$unused"
    [ "$payload" -le "$hole" ] || row "missing for a second payload" "$((payload - hole))"
}

compilers="gcc $("${CROSS}gcc" -dumpfullversion), rustc $(rustc --version | cut -d' ' -f2)"
printed=$(table)
if [ "$action" = print ]; then
    printf '%s\n' "$printed"
    exit
fi

page=boards/$board/README.md
[ "$board" != qemu-q35 ] || page=README.md
start="<!-- scripts/sizes.sh $board: "
first=$(grep -n -m1 -F "$start" "$ROOT/$page" | cut -d: -f1) || die "$page has no line that begins with $start"
last=$(awk -v first="$first" 'NR > first && /^<!-- end -->$/ { print NR; exit }' "$ROOT/$page")
[ -n "$last" ] || die "$page:$first: no <!-- end --> behind it"

if [ "$action" = write ]; then
    {
        head -n "$((first - 1))" "$ROOT/$page"
        printf '%s%s -->\n%s\n' "$start" "$compilers" "$printed"
        tail -n "+$last" "$ROOT/$page"
    } >"$out/page"
    cat "$out/page" >"$ROOT/$page" # which keeps its mode
    rm "$out/page"
    exit
fi

# alike LINE LINE: they differ at most in figures, and in each by at most 1 KiB.
alike() {
    local a=${1//,/} b=${2//,/}
    [ "${a//[0-9]/}" = "${b//[0-9]/}" ] || return 1
    a=${a//[^0-9]/} b=${b//[^0-9]/}
    [ "$a" = "$b" ] || [ $((a > b ? a - b : b - a)) -le 1024 ]
}

written=$(sed -n "${first}p" "$ROOT/$page")
written=${written#"$start"} written=${written% -->}
if [ "$written" != "$compilers" ]; then
    say "the sizes in $page are those of $written, and here is $compilers"
    exit 2
fi
mapfile -t old < <(sed -n "$((first + 1)),$((last - 1))p" "$ROOT/$page")
mapfile -t new <<<"$printed"
for i in "${!new[@]}"; do
    alike "${old[i]:-}" "${new[i]}" || die "$page:$((first + 1 + i)): ${old[i]:-nothing} is now ${new[i]} (scripts/sizes.sh $board --write)"
done
[ "${#old[@]}" -eq "${#new[@]}" ] || die "$page:$((first + 1 + ${#new[@]})): a row that is no more (scripts/sizes.sh $board --write)"
