#!/bin/sh
# The first process of a guest: makes a place to work in, runs the workload that the command line names, powers off.
# What the kernel says goes to the first serial port, what the workload found out to the second.

/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp

# The modules lie in a folder whose name does not tell the version.
mkdir -p /lib/modules
ln -s /lab/modules "/lib/modules/$(uname -r)"
depmod -a 2>/dev/null

stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1

# say KEY=VALUE: for the lab
say() { echo "XKVM $*" >&3; }
# phase NAME: what is done from here on is counted under this name. The VMM is told by a byte to its mark port or, with lab.mark=ask,
# whoever counts is asked for an answer, and counts while this waits.
phases=0
phase() {
    phases=$((phases + 1))
    say "phase_$phases=$1"
    mark
}
# phase_end: what follows belongs to no phase.
phase_end() {
    phases=$((phases + 1))
    [ "$marking" != ask ] || say "phase_$phases=rest"
    mark
}
mark() {
    local answer
    case $marking in
    ask) read -r answer <&3 ;;
    *) printf "\\$(printf %o $phases)" | dd of=/dev/port bs=1 seek=1504 conv=notrunc 2>/dev/null ;;
    esac
}
# answered: of the answer of ping on standard input, how many came of how many
answered() { sed -n 's/^\([0-9]*\) packets transmitted, \([0-9]*\) .*/\2 of \1/p'; }
# parameter NAME: the value of lab.NAME on the command line
parameter() { tr ' ' '\n' </proc/cmdline | sed -n "s/^lab\.$1=//p"; }

marking=$(parameter mark)

say "kernel=$(uname -r)"
# The commands stand on the console: when the guest hangs, that is where it was.
PS4='lab: '
set -x
. "/lab/guest/$(parameter workload).sh"
set +x
say "uptime=$(cut -d' ' -f1 /proc/uptime)"
say done
poweroff -f
