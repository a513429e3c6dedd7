# Workload "boot": is everything there, does the disk keep data, does the network card work under all that can be done to it.

driver=$(parameter driver)
port=$(parameter port)
syslog=$(parameter syslog)
host=10.0.2.2

now() { cut -d' ' -f1 /proc/uptime; }
# took NAME FROM: seconds since FROM
took() { say "$1=$(now | awk -v from="$2" '{ printf "%.2f", $1 - from }')"; }

interface_up() {
    ip link set eth0 up
    local tries=0
    while [ "$(cat /sys/class/net/eth0/carrier 2>/dev/null)" != 1 ] && [ $tries -lt 100 ]; do
        sleep 0.2
        tries=$((tries + 1))
    done
}

# transfer PREFIX SEED BYTES: there and back; what came is told by its hash, here and over there
transfer() {
    local begun
    begun=$(now)
    echo "down $2 $3" | timeout "$(parameter patience)" nc $host "$port" >/tmp/stream
    took "$1_down_seconds" "$begun"
    say "$1_down=$(sha256sum </tmp/stream | cut -d' ' -f1)"
    begun=$(now)
    say "$1_up=$({ echo up; cat /tmp/stream; } | timeout "$(parameter patience)" nc $host "$port")"
    took "$1_up_seconds" "$begun"
    rm /tmp/stream
}

# flood NAME COUNT SIZE: as fast as the answers come
flood() {
    say "$1=$(ping -A -q -c "$2" -s "$3" $host | answered)"
}

interrupts() { awk '/eth0/ { for (i = 2; i <= NF && $i ~ /^[0-9]+$/; i++) sum += $i } END { print sum + 0 }' /proc/interrupts; }

# --- what this kernel is ---
say "hz_config=$(zcat /proc/config.gz | sed -n 's/^CONFIG_HZ=//p')"
say "scheduler=$(cat /sys/block/sda/queue/scheduler)"
say "symbol_acpi_pm_read_slow=$(grep -c ' acpi_pm_read_slow$' /proc/kallsyms)"
say "symbol_xkvm_io_coalesce=$(grep -c ' xkvm_io_coalesce$' /proc/kallsyms)"
say "io_delay=$(cat /proc/sys/kernel/io_delay_type)"
say "clocksource=$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
jiffies() { awk '/^jiffies:/ { print $2; exit }' /proc/timer_list; }
set -- "$(now)" "$(jiffies)"
sleep 4
set -- "$@" "$(now)" "$(jiffies)"
say "hz_measured=$(echo "$@" | awk '{ printf "%.1f", ($4 - $2) / ($3 - $1) }')"

# --- the disk ---
dd if=/dev/urandom of=/tmp/data bs=64k count=128 2>/dev/null
say "disk_written=$(sha256sum </tmp/data | cut -d' ' -f1)"
# Without the disk, /dev would take a file of its name.
if [ -b /dev/sda ]; then
    dd if=/tmp/data of=/dev/sda bs=64k conv=fsync 2>/dev/null
    echo 3 >/proc/sys/vm/drop_caches
    say "disk_read=$(dd if=/dev/sda bs=64k count=128 2>/dev/null | sha256sum | cut -d' ' -f1)"
fi
rm /tmp/data

# --- the network card ---
ip link set lo up
modprobe "$driver"
say "driver=$(basename "$(readlink /sys/class/net/eth0/device/driver)")"
interface_up
udhcpc -n -q -f -t 10 -i eth0 -s /lab/guest/udhcpc.sh
say "address=$(ip -4 -o addr show eth0 | awk '{ print $4 }')"

bytes=$(($(parameter mib) * 1048576))
before=$(interrupts)
transfer bulk 1 $bytes
say "bulk_interrupts=$(($(interrupts) - before))"
before=$(interrupts)
flood flood_small "$(parameter pings)" 56
flood flood_large "$(parameter pings)" 1400
say "flood_interrupts=$(($(interrupts) - before))"

# Messages of the kernel by network: netpoll sends them where no interrupt may come, here while others come.
modprobe netconsole "netconsole=@/eth0,$syslog@$host/52:55:0a:00:02:02"
ping -A -q -c 500 $host >/dev/null &
set +x
i=0
while [ $i -lt "$(parameter messages)" ]; do
    echo "<5>lab-netpoll message $i" >/dev/kmsg
    i=$((i + 1))
done
set -x
wait
say "netpoll_sent=$i"
rmmod netconsole

cycle=0
while [ $cycle -lt "$(parameter cycles)" ]; do
    cycle=$((cycle + 1))
    ip link set eth0 down
    interface_up
    flood "cycle_${cycle}_flood" 20 56
    transfer "cycle_$cycle" $((100 + cycle)) 262144
done

# errors N: what the interface has counted since it was there for the Nth time
errors() { say "link_errors_$1=$(cat /sys/class/net/eth0/statistics/rx_errors /sys/class/net/eth0/statistics/tx_errors | tr '\n' ' ')"; }
reload=0
while [ $reload -lt "$(parameter reloads)" ]; do
    errors $reload
    reload=$((reload + 1))
    modprobe -r "$driver"
    say "reload_${reload}_gone=$([ -e /sys/class/net/eth0 ] && echo no || echo yes)"
    modprobe "$driver"
    interface_up
    udhcpc -n -q -f -t 10 -i eth0 -s /lab/guest/udhcpc.sh
    flood "reload_${reload}_flood" 20 56
    transfer "reload_$reload" $((200 + reload)) 262144
done

errors $reload
if [ -e /proc/lockdep_stats ]; then
    say "lockdep=$(awk '/debug_locks:/ { print $2 }' /proc/lockdep_stats)"
fi
