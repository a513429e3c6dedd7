# Workload "messages": makes each part of the kernel that a series may touch say what it has to say, in the same order each time, and
# counts timer interrupts. No traffic: the other end would bring its own time into it.

say "hz_config=$(zcat /proc/config.gz | sed -n 's/^CONFIG_HZ=//p')"

for driver in $(parameter drivers | tr , ' '); do
    modprobe "$driver"
    ip link set eth0 up
    sleep 5
    ip link set eth0 down
    modprobe -r "$driver"
done
if [ -b /dev/sda ]; then
    dd if=/dev/zero of=/dev/sda bs=64k count=16 conv=fsync 2>/dev/null
    echo 3 >/proc/sys/vm/drop_caches
    dd if=/dev/sda of=/dev/null bs=64k count=16 2>/dev/null
fi

# The tick of an idle CPU stops, so this one works. Its timer is the PIT at first, its own later.
timer() { awk '/^ *(0|LOC):/ { sum += $2 } END { print sum + 0 }' /proc/interrupts; }
# hundredths: of a second since the start, in $up
hundredths() { read -r up _ </proc/uptime; up=${up%.*}${up#*.}; }
set +x
before=$(timer)
hundredths
from=$up
while [ $((up - from)) -lt 200 ]; do hundredths; done
after=$(timer)
set -x
say "timer_interrupts=$(echo "$((after - before)) $((up - from))" | awk '{ printf "%.1f", 100 * $1 / $2 }')"
