# Workload "messages": makes each part of the kernel that a series may touch say what it has to say, in the same order each time.
# No traffic: the other end would bring its own time into it.

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
