# usage: serve.sh TASK: one connection of a guest's, on standard input and output: `send KIB`, or `receive` and then data.
. "$1/data.sh"
read -r what kib
case $what in
send) data "$kib" ;;
receive) sha256sum ;;
esac
