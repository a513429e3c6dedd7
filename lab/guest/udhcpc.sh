#!/bin/sh
# Called by udhcpc with what the server said.
case $1 in
deconfig) ip addr flush dev "$interface" ;;
bound | renew) ip addr replace "$ip/$mask" dev "$interface" ;;
esac
