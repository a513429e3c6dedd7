#!/bin/sh
# Times the scan of a kernel tree against the floor a plain text search sets.
#
#   benches/scan.sh TREE [OUT.json]
#
# Needs hyperfine; rg, spatch and ast-grep are timed when installed. Run twice and take the second: the first fills the page cache.
# Read the "User" + "System" times on a busy machine, the wall time only on an idle one.
set -eu

tree=${1:?usage: benches/scan.sh TREE [OUT.json]}
out=${2:-/dev/null}
here=$(cd "$(dirname "$0")/.." && pwd)
command -v hyperfine >/dev/null || { echo "scan.sh: hyperfine is not installed" >&2; exit 1; }
test -f "$tree/Makefile" || { echo "scan.sh: $tree is not a kernel tree" >&2; exit 1; }

cargo build --quiet --release --manifest-path "$here/Cargo.toml" --bins --examples
bin=${CARGO_TARGET_DIR:-$here/target}/release
io='(in|out)s?[bwl](_p)?|io(read|write)(8|16|32)(be|_rep)?'

# Peak memory, which hyperfine does not show.
if [ -x /usr/bin/time ]; then
    /usr/bin/time -f "guestpatch scan: %M KiB at most" "$bin/guestpatch" scan "$tree" --json >/dev/null || true
fi

set -- \
    -n 'guestpatch scan' "'$bin/guestpatch' scan '$tree' --json" \
    -n 'read, cut, mask, parse' "'$bin/examples/parse_errors' '$tree' --all -q"
if command -v rg >/dev/null; then
    set -- "$@" \
        -n 'rg, one literal (floor)' "rg -uuu -c -F 'outb(' -g '*.[ch]' '$tree'" \
        -n 'rg, port I/O words' "rg -uuu -c '(?-u:\\b)($io)\\s*\\(' -g '*.[ch]' '$tree'"
fi
if command -v ast-grep >/dev/null; then
    set -- "$@" -n 'ast-grep, one pattern' "ast-grep run --no-ignore hidden --no-ignore vcs -l c -p 'outb(\$A, \$B)' --json=stream '$tree'"
fi
if command -v spatch >/dev/null; then
    rule=$(mktemp --suffix=.cocci)
    trap 'rm -f "$rule"' EXIT
    printf '@@ expression a, b, c, d; @@\n- outb(a, b); outb(c, d);\n+ pair(a, b, c, d);\n' >"$rule"
    set -- "$@" -n 'spatch, one rule on drivers/ata' "spatch --sp-file '$rule' --dir '$tree/drivers/ata' --very-quiet"
fi
# A scan that finds blocked sites may exit with 1.
hyperfine --ignore-failure --warmup 1 --runs 5 --export-json "$out" "$@"
