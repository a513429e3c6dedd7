# usage: task.sh TASK RESULTS: runs the VMM of the folder TASK and leaves what came of it in the folder RESULTS.
# TASK holds `command` (a script that ends in the VMM), `disk` and `written` (bytes), `seconds` (the time it has) and, where they are wanted,
# `trace` and `ask`.

export task=$1
results=$2

# fail WHY: nothing is run.
fail() {
    echo "$*" >"$results/status"
    exit
}
tracing=
if [ -e "$task/trace" ] || [ -e "$task/ask" ]; then
    tracing=/sys/kernel/tracing
    [ -e $tracing/instances ] || tracing=/sys/kernel/debug/tracing
    # An instance of its own: nothing else is recorded in it, and nothing stays switched on.
    tracing=$tracing/instances/xkvm-lab
    [ -z "$(find /sys/kernel/debug/kvm -mindepth 1 -type d)" ] || fail "another virtual machine runs: its exits would be counted, too"
    rmdir $tracing 2>/dev/null
    mkdir $tracing || fail "KVM's tracepoints cannot be used: this needs root, tracefs, and no other run"
fi
work=$(mktemp -d)
cd "$work"
trap 'cd /; rm -rf "$work"; [ -z "$tracing" ] || rmdir "$tracing"' EXIT

echo "no VMM was started" >"$results/status"
if [ "$(cat "$task/disk")" -gt 0 ]; then
    dd if=/dev/null of=disk bs=1 seek="$(cat "$task/disk")" 2>/dev/null
fi

if [ -e "$task/trace" ]; then
    # Room for every port access from the first process of the guest on; what is lost is told.
    echo 65536 >$tracing/buffer_size_kb || fail "there is no room for a trace of 64 MiB"
    # Serial ports and PCI configuration are most of a boot.
    echo '(port < 0x2f8 || port > 0x2ff) && (port < 0x3f8 || port > 0x3ff) && (port < 0xcf8 || port > 0xcff)' \
        >$tracing/events/kvm/kvm_pio/filter || fail "kvm_pio cannot be filtered"
    echo 1 >$tracing/events/kvm/kvm_pio/enable || fail "there is no kvm_pio"
    echo 1 >$tracing/events/kvm/kvm_hypercall/enable || fail "there is no kvm_hypercall"
    echo 1 >$tracing/tracing_on
fi

# now WORD: the time, by the clock that the kernel's timers go by; busybox's date knows no more than seconds.
now() { sed -n "s/^now at \([0-9]*\) nsecs.*/$1 \1/p" /proc/timer_list; }

# A guest that cannot write to the mark port stops at each mark until it is answered. So it stands still while it is counted.
answer() {
    local vmm=$1 line counters
    while read -r line; do
        line=${line%"$(printf '\r')"}
        echo "$line" >>"$results/serial2"
        case $line in
        "XKVM phase_"*)
            counters=$(ls -d /sys/kernel/debug/kvm/"$vmm"-*)
            {
                echo "mark ${line#XKVM phase_}"
                now reached
                (cd "${counters:?there are no counters of the VMM}" && grep -s '^[0-9]*$' *) | sed 's/^\(.*\):/kvm \1 /'
                sed -n 's/^{ reason: *\([0-9]*\) } hitcount: *\([0-9]*\)/user \1 \2/p' $tracing/events/kvm/kvm_userspace_exit/hist
                now left
            } >>"$results/snapshots"
            echo go >serial2.in
            ;;
        esac
    done <serial2.out
}

if [ -e "$task/ask" ]; then
    mkfifo serial2.in serial2.out
    # The guest's network ends here.
    printf '#!/bin/sh\nexec sh "%s/serve.sh" "%s"\n' "$task" "$task" >serve
    chmod 755 serve
    echo 'hist:keys=reason:size=128' >$tracing/events/kvm/kvm_userspace_exit/trigger ||
        fail "kvm_userspace_exit cannot be counted: the kernel needs CONFIG_HIST_TRIGGERS"
    nc -ll -p 5000 -e "$work/serve" &
    server=$!
    # QEMU that is asked to end says that all is well.
    timeout -s KILL "$(cat "$task/seconds")" sh "$task/command" >"$results/console" 2>"$results/log" </dev/null &
    # busybox's `timeout` becomes the VMM; counters carry its number.
    guest=$!
    # Opened for both, so that neither end waits for the other.
    exec 8<>serial2.in
    answer "$guest" &
    answering=$!
    wait "$guest"
    echo $? >"$results/status"
    # What the guest said last may not have been read. A VMM that has not come so far as to open its end is stood in for.
    exec 9<>serial2.out 9>&-
    wait "$answering"
    kill $server
else
    timeout "$(cat "$task/seconds")" sh "$task/command" >"$results/console" 2>"$results/log" </dev/null
    echo $? >"$results/status"
fi

if [ -e "$task/trace" ]; then
    echo 0 >$tracing/tracing_on
    cat $tracing/per_cpu/cpu*/stats | sed -n 's/^\(overrun\|commit overrun\|dropped events\): /\1=/p' >"$results/lost"
    # From the first mark on: what it was and to which port.
    sed -n -e 's/^.*: kvm_pio: pio_\([a-z]*\) at \(0x[0-9a-f]*\) size [0-9]* count \([0-9]*\).*$/\1 \2 \3/p' \
        -e 's/^.*: kvm_hypercall: nr \(0x[0-9a-f]*\) .*$/hypercall \1/p' $tracing/trace |
        sed -n '/^write 0x5e0 /,$p' >"$results/trace"
fi
for file in serial2 stats.json; do
    [ ! -f $file ] || mv $file "$results/"
done
if [ -f disk ]; then
    # Most of it is a hole. What is written is at its head and behind 128 GiB; a write elsewhere would be seen in its blocks.
    sum=$({ head -c "$(cat "$task/written")" disk; dd if=disk bs=1M skip=131072 count=1 2>/dev/null; } | sha256sum | cut -d' ' -f1)
    echo "$sum $(stat -c %b disk)" >"$results/disk"
fi
