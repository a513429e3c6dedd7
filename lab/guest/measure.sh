# Workload "measure": does one thing after the other, each in a phase of its own. What is done is in lab.parts, in order.
# A phase holds its commands and the mark at its end, which is one exit; what the guest says is said outside.

set +x
disk=/dev/$(parameter disk)
kib=$(parameter kib)

# measured NAME COMMAND...
measured() {
    local name=$1 status=0
    phase "$name"
    shift
    "$@" 2>/dev/null || status=$?
    phase_end
    [ $status = 0 ] || say "failed_$name=$status"
}
# sum NAME FILE
sum() { say "sum_$1=$(sha256sum <"$2" | cut -d' ' -f1)"; }
forget() { echo 3 >/proc/sys/vm/drop_caches; }

. /lab/guest/data.sh
make_data() { data "$1" >/tmp/data; }

# One command of the disk each. The first of its kind reads the program, and is not counted.
commands() {
    local sector=/lab/sector far=268435456
    make_data 1
    $sector write "$disk" 0 /tmp/data
    measured write-sector $sector write "$disk" 0 /tmp/data
    measured read-sector $sector read "$disk" 0 /tmp/back
    head -c 512 /tmp/data >/tmp/wrote
    sum wrote-sector /tmp/wrote
    sum read-sector /tmp/back
    # Sectors from 128 GiB on do not fit into the 28 bits of the older command: eleven registers are written.
    measured write-far $sector write "$disk" $far /tmp/data
    measured read-far $sector read "$disk" $far /tmp/back
    sum read-far /tmp/back
    rm /tmp/wrote /tmp/back /tmp/data
}

# What is read later was written since.
clear_disk() { dd if=/dev/zero of="$disk" bs=64k count=$((kib / 64)) conv=fsync 2>/dev/null; }
blocks() {
    make_data "$kib"
    sum data /tmp/data
    for bs in $(parameter sizes | tr , ' '); do
        count=$((kib / bs))
        clear_disk
        measured write-direct-${bs}k dd if=/tmp/data of="$disk" bs=${bs}k oflag=direct
        measured read-direct-${bs}k dd if="$disk" of=/tmp/back bs=${bs}k count=$count iflag=direct
        sum read-direct-${bs}k /tmp/back
        rm /tmp/back
        clear_disk
        measured write-buffered-${bs}k dd if=/tmp/data of="$disk" bs=${bs}k conv=fsync
        forget
        measured read-buffered-${bs}k dd if="$disk" of=/tmp/back bs=${bs}k count=$count
        sum read-buffered-${bs}k /tmp/back
        rm /tmp/back
        forget
    done
    rm /tmp/data
}

make_files() {
    local i=0
    while [ $i -lt "$(parameter files)" ]; do
        i=$((i + 1))
        echo "file $i" >/mnt/$i
    done
    sync
}
# The names are in the order in which they were made, not in that of the folder.
read_files() {
    local i=0
    while [ $i -lt "$(parameter files)" ]; do
        i=$((i + 1))
        cat /mnt/$i
    done >/tmp/back
}
remove_files() {
    rm -r /mnt/[0-9]*
    sync
}
files() {
    mke2fs -q "$disk" 65536 2>/dev/null
    mkdir -p /mnt
    mount -t ext4 "$disk" /mnt 2>/dev/null || say "mount=failed"
    measured files-make make_files
    umount /mnt
    forget
    mount -t ext4 "$disk" /mnt
    measured files-read read_files
    sum files /tmp/back
    measured files-remove remove_files
    umount /mnt
}

# ticks NAME COMMAND...: how many timer interrupts the guest itself has counted meanwhile, and for how long
timers() { awk '/^ *(0|LOC):/ { for (i = 2; i <= NF && $i ~ /^[0-9]+$/; i++) sum += $i } END { print sum + 0 }' /proc/interrupts; }
seconds() { cut -d' ' -f1 /proc/uptime; }
ticks() {
    local name=$1 from=$(timers) since=$(seconds)
    measured "$@"
    say "ticks_$name=$(($(timers) - from))"
    say "seconds_$name=$(seconds | awk -v since="$since" '{ printf "%.2f", $1 - since }')"
}
idle() { ticks idle sleep "$(parameter seconds)"; }

host=10.0.2.2
# To the console it would be said by exits.
ping_host() { ping -A -q -c "$(parameter pings)" $host >/tmp/ping; }
# connect WHAT: asks the server for it, and waits until it is ready. What is written to 5 goes there, what is read from 6 is from there.
# Behind QEMU's user network a connection takes a second or two, as its timers happen to be: that is not what is measured.
connect() {
    rm -f /tmp/to /tmp/from
    mkfifo /tmp/to /tmp/from
    nc $host 5000 </tmp/to >/tmp/from &
    exec 5>/tmp/to 6</tmp/from
    echo "$1" >&5
    read -r answer <&6
    [ "$answer" = ready ] || say "failed_connect=$1"
}
receive() {
    echo go >&5
    cat <&6 >/tmp/back
    exec 5>&-
}
send() {
    cat /tmp/data >&5
    exec 5>&-
    cat <&6 >/tmp/answer
}
network() {
    # Room for all of it: no sender waits, by timers of a second, until the guest has read.
    echo 4096 16777216 16777216 >/proc/sys/net/ipv4/tcp_rmem
    ip link set lo up
    modprobe "$(parameter driver)"
    ip link set eth0 up
    until [ "$(cat /sys/class/net/eth0/carrier)" = 1 ]; do sleep 0.1; done
    ip addr add 10.0.2.15/24 dev eth0
    ping -c 2 $host >/dev/null
    make_data "$kib"
    sum data /tmp/data
    connect "send $kib"
    measured receive receive
    wait
    sum receive /tmp/back
    connect receive
    measured send send
    wait
    say "sum_send=$(cut -d' ' -f1 /tmp/answer)"
    measured ping ping_host
    say "pings=$(answered </tmp/ping)"
}

for part in $(parameter parts | tr , ' '); do
    $part
done
# Once more, with what was forgotten: nothing is left to come.
phase end
