# usage: serve.sh TASK: one connection of a guest's, on standard input and output: `send KIB` and then `go`, or `receive` and then data.
. "$1/data.sh"
read -r what kib
echo ready
case $what in
send)
    read -r go
    data "$kib"
    ;;
receive) sha256sum ;;
esac
