#!/usr/bin/env bash
# start-ejabberd-cluster.sh DIR
# Two ejabberd nodes, one XMPP domain, one Mnesia database replicated on both:
#   DIR/a  ejabberd@127.0.0.1     DIR/b  ejabberd@127.0.0.2
# Both nodes use the same port numbers, each on its own loopback address.
# Every variable of start-ejabberd.sh applies to both; IP_A and IP_B change the addresses.
# A node that was stopped or killed comes back with: start-ejabberd-cluster.sh DIR a|b
# (its database is kept, so it is not joined again). Stop with stop-ejabberd-cluster.sh DIR.
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/common.sh"
[ $# -ge 1 ] || die "usage: $0 DIR [a|b]"
T0=$(date +%s%N)
mkdir -p "$1" || die "cannot make $1"
DIR=$(cd "$1" && pwd)
: "${IP_A:=127.0.0.1}" "${IP_B:=127.0.0.2}" "${XMPP_HOST:=xmpp.mirrorfly.test}"
export XMPP_HOST
unset NODE

one() { # one a|b
    local ip=$IP_A
    [ "$1" = b ] && ip=$IP_B
    XMPP_IP=$ip "$HERE/start-ejabberd.sh" "$DIR/$1" || die "node $1 did not start"
}
if [ $# -eq 2 ]; then
    case $2 in a | b) one "$2"; exit ;; *) die "node must be a or b" ;; esac
fi

make_cert "$DIR" "$XMPP_HOST" # one certificate for both nodes
share=("$DIR/tls")
if [ "${MIRRORFLY:-0}" = 1 ]; then
    find_ejabberd
    make_module "$DIR"
    share+=("$DIR/ebin")
fi
mkdir -p "$DIR/a" "$DIR/b"
cp -r "${share[@]}" "$DIR/a/"; cp -r "${share[@]}" "$DIR/b/"
joined=0; [ -e "$DIR/b/joined" ] && joined=1
one a & a=$!
one b & b=$!
wait $a; failed=$?
wait $b && [ $failed = 0 ] || exit 1 # after both: none may still be starting when this has ended
if [ $joined = 0 ]; then
    # Not by the HTTP API: it stops the application, whose end would be that of its own request.
    "$HERE/ejabberdctl.sh" "$DIR/b" join_cluster "ejabberd@$IP_A" || die "join_cluster failed"
    : >"$DIR/b/joined"
fi
. "$DIR/b/env"
for ((i = 0; i < 1000; i++)); do # a busy machine takes long
    if [[ $(api "$IP_B" "$HTTP_PORT" list_cluster '{}') == *ejabberd@*ejabberd@* ]] &&
        ! port_free "$IP_B" "$C2S_PORT"; then
        echo "ready cluster seconds=$(since "$T0") nodes=ejabberd@$IP_A,ejabberd@$IP_B host=$XMPP_HOST"
        exit 0
    fi
    sleep 0.2
done
die "the nodes did not form a cluster"
