#!/bin/sh
# The first process of the machine that a VMM runs on: gets it ready, runs the task, sends what came of it, ends it.

/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs -o size=90% tmp /tmp
mount -t debugfs debug /sys/kernel/debug
mount -t tracefs trace /sys/kernel/tracing

for module in $(cat /task/modules); do
    insmod "/task/$module" || echo "HOST cannot load $module"
done
sh /task/parameters.sh

[ ! -e /sys/class/net/lo ] || ip link set lo up

mkdir /tmp/results
sh /lab/host/task.sh /task /tmp/results
echo "HOST status $(cat /tmp/results/status)"

# The second port carries bytes, and nothing else.
stty -F /dev/ttyS1 raw -echo
cd /tmp/results && find . -type f | sort | cpio -o -H newc 2>/dev/null >/dev/ttyS1
echo "HOST sent"
# QEMU ends where the machine would start again. To power off takes ACPI, which a small kernel goes without.
reboot -f
