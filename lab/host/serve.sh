# usage: serve.sh TASK: one connection of a guest's, on standard input and output: `send KIB` and then `go`, or `receive` and then data.
. "$1/data.sh"
read -r what kib
# What is sent is made before: that is no work of the network's.
[ "$what" != send ] || data "$kib" >sent
echo ready
case $what in
send)
    read -r go
    cat sent
    ;;
receive) sha256sum ;;
esac
