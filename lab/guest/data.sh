# data KIB: so much, in sectors that begin with their numbers: no two are the same. Guests and their server make it.
data() {
    local sectors=$(($1 * 2)) width
    width=$((sectors + 1))
    width=${#width}
    seq -w -s "$(printf "%$((512 - width))s" "")" 1 $((sectors + 1)) | head -c $((sectors * 512))
}
