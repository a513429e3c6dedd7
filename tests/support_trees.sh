#!/bin/bash
# Compiles the support patch in a copy of a kernel tree, and a driver that uses all of it: as a module, with CONFIG_XKVM_IO
# on and off.
#
#   cargo build --example render_support
#   tests/support_trees.sh TREE ARCH WORK      ARCH: x86_64 | i386; WORK: a scratch folder, ~0.5-2 GB a tree
#
# With gcc 12. A warning or error in our files fails; the tree's own do not. CHECK="C=2" also runs sparse (2.6.24 and later).
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
tree=$(realpath "$1") arch=$2 work=$(realpath "$3")
version() { sed -n "s/^$1 *= *//p" "$tree/Makefile" | head -1; }
code=$(($(version VERSION) * 65536 + $(version PATCHLEVEL) * 256 + $(version SUBLEVEL)))
v() { echo $(($1 * 65536 + $2 * 256 + $3)); }
copy=$work/$(basename "$tree") out=$work/$(basename "$tree")-$arch log=$work/log.$$
trap 'rm -f "$log"' EXIT

[ -d "$copy" ] || cp -r "$tree" "$copy"
rm -rf "$copy/.git" "$out" && mkdir -p "$out/.tmp_versions"
# From the pristine tree: inserting twice is no use
(cd "$top" && target/debug/examples/render_support "$tree" "$copy")
cp "$top/testdata/support/driver.c" "$copy/lib/xkvm_driver.c"
echo "obj-m += xkvm_driver.o" >>"$copy/lib/Makefile"

# What old trees lack to be built at all with gcc 12 and make 4
cat >"$work/hostcc" <<'S'
#!/bin/sh
exec gcc -fcommon -fgnu89-inline -include linux/limits.h -w "$@"
S
pose="" bits=""
if [ $code -lt "$(v 2 6 24)" ]; then
	pose="-fgnu89-inline -U__GNUC__ -D__GNUC__=4 -U__GNUC_MINOR__ -D__GNUC_MINOR__=3 -fno-stack-protector -fno-asynchronous-unwind-tables"
fi
[ $code -ge "$(v 2 6 25)" ] || [ "$arch" != i386 ] || bits=-m32
printf '#!/bin/sh\nexec gcc %s -fno-pie %s "$@"\n' "$bits" "$pose" >"$work/cc-$arch"
chmod +x "$work/hostcc" "$work/cc-$arch"
compile=(nice make -s "O=$out" "ARCH=$arch" CROSS_COMPILE=)
if [ $code -lt "$(v 4 0 0)" ]; then
	compile+=("HOSTCC=$work/hostcc" "CC=$work/cc-$arch")
	[ -e "$copy/include/linux/compiler-gcc12.h" ] || echo '#include <linux/compiler-gcc4.h>' >"$copy/include/linux/compiler-gcc12.h"
	sed -i 's/^config %config:/%config:/; s|^/ %/:|%/:|' "$copy/Makefile"
fi
cd "$copy"
config="${arch}_defconfig"
[ -e "arch/x86/configs/$config" ] || config=defconfig
run() { "${compile[@]}" "$@" >"$log" 2>&1 || { tail -20 "$log"; exit 1; }; }
set_options() {
	for option in "$@"; do
		name=${option%=*}
		sed -i "/^CONFIG_$name=/d; /^# CONFIG_$name is/d" "$out/.config"
		echo "CONFIG_$option" >>"$out/.config"
	done
	(yes '' || true) | "${compile[@]}" oldconfig >"$log" 2>&1 || { tail -20 "$log"; exit 1; }
}
build() {
	rm -f "$out"/lib/xkvm_*.o
	run W=1 ${CHECK:-} "$@"
	if grep -E 'xkvm_(io|driver)\.[ch]:[0-9]+(:[0-9]+)?: (warning|error)' "$log"; then exit 1; fi
}
run "$config"
set_options HYPERVISOR_GUEST=y PARAVIRT_GUEST=y PARAVIRT=y KVM_GUEST=y XKVM_IO=y AMD_MEM_ENCRYPT=y HIGHMEM64G=y HIGHMEM4G=n \
	NOHIGHMEM=n DEBUG_INFO=n MODULE_SIG=n STACK_VALIDATION=n UNWINDER_ORC=n RETPOLINE=n MITIGATION_RETPOLINE=n \
	CC_STACKPROTECTOR=n STACK_UNWIND=n UNWIND_INFO=n FUNCTION_TRACER=n
grep -q '^CONFIG_XKVM_IO=y' "$out/.config"
run prepare scripts
build lib/xkvm_io.o lib/xkvm_driver.o
[ "$(nm "$out/lib/xkvm_driver.o" | grep -c ' U xkvm_io_')" = 3 ]
set_options XKVM_IO=n
build lib/xkvm_driver.o
! nm "$out/lib/xkvm_driver.o" | grep ' U xkvm_'
echo "ok: $(basename "$tree") $arch"
