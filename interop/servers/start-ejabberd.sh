#!/usr/bin/env bash
# start-ejabberd.sh DIR
# Starts one private ejabberd node whose whole state lives under DIR, waits until
# it answers, prints the ports, and leaves the pid in DIR/ejabberd.pid.
# Stop it with stop-ejabberd.sh DIR. Needs: apt install ejabberd (not running).
#
# Environment (default):
#   XMPP_IP (127.0.0.1)   PORT_BASE (15200)   XMPP_HOST (xmpp.mirrorfly.test)
#   C2S_PORT (BASE+22) C2S_TLS_PORT (BASE+23) HTTP_PORT (BASE+80)
#   HTTPS_PORT (BASE+43) DIST_PORT (BASE+10)
#   NODE (ejabberd@$XMPP_IP)   COOKIE (mirrorflytest)
#   PASSWORDS (scram | plain)  plain = stored in clear: PLAIN logins 4x cheaper, SCRAM-SHA-1/256/512 offered
#   SCRAM (on | off)           off = PLAIN is all that is offered
#   STARTTLS (required | optional | off)     MAX_STANZA (262144)
#   MAX_SESSIONS (10)          sessions per user before the oldest is replaced
#   FAIL2BAN (0 = off, else failures before a ban)   FAIL2BAN_LIFETIME (60) seconds
#   BACKLOG (5)                connections that may wait to be accepted; with more at once some take a second or longer
#   PING (false)  PING_INTERVAL (60)  PING_ACK (32)   XEP-0199 from the server
#   WS_PING (60)  WS_TIMEOUT (300)    RESUME (300)    seconds
#   LOGLEVEL (info)
#   MIRRORFLY (0 | 1)          compile, once, and load ejabberd/src/mod_mirrorfly.erl
#   XMPP_GUARD_FD              see guard.sh; tests set it
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/common.sh"
[ $# -eq 1 ] || die "usage: $0 DIR"
T0=$(date +%s%N)
mkdir -p "$1" || die "cannot make $1"
DIR=$(cd "$1" && pwd)

: "${XMPP_IP:=127.0.0.1}" "${PORT_BASE:=15200}" "${XMPP_HOST:=xmpp.mirrorfly.test}"
: "${C2S_PORT:=$((PORT_BASE + 22))}" "${C2S_TLS_PORT:=$((PORT_BASE + 23))}"
: "${HTTP_PORT:=$((PORT_BASE + 80))}" "${HTTPS_PORT:=$((PORT_BASE + 43))}"
: "${DIST_PORT:=$((PORT_BASE + 10))}" "${NODE:=ejabberd@$XMPP_IP}" "${COOKIE:=mirrorflytest}"
: "${STARTTLS:=required}" "${PASSWORDS:=scram}" "${SCRAM:=on}"
: "${MAX_STANZA:=262144}" "${MAX_SESSIONS:=10}" "${FAIL2BAN:=0}" "${FAIL2BAN_LIFETIME:=60}"
: "${BACKLOG:=5}" "${PING:=false}" "${PING_INTERVAL:=60}" "${PING_ACK:=32}"
: "${WS_PING:=60}" "${WS_TIMEOUT:=300}" "${RESUME:=300}" "${LOGLEVEL:=info}" "${MIRRORFLY:=0}"

case $XMPP_IP in 127.*) ;; *) die "XMPP_IP must be a loopback address" ;; esac
find_ejabberd
pid_alive "$DIR/ejabberd.pid" && die "already running: pid $(cat "$DIR/ejabberd.pid")"
need_ports "$XMPP_IP" "$C2S_PORT" "$C2S_TLS_PORT" "$HTTP_PORT" "$HTTPS_PORT" "$DIST_PORT"

mkdir -p "$DIR"/{spool,log,upload,home}
make_cert "$DIR" "$XMPP_HOST"

f2b=''
[ "$FAIL2BAN" != 0 ] && f2b="  mod_fail2ban:
    c2s_max_auth_failures: $FAIL2BAN
    c2s_auth_ban_lifetime: $FAIL2BAN_LIFETIME"
no_scram=''
[ "$SCRAM" = off ] && no_scram=$(printf '  - "scram-sha-%s"\n' 1 1-plus 256 256-plus 512 512-plus)
# Erlang looks for a module in one folder after the other, and ejabberd loads hundreds: the folders
# with most of them come first.
lib=$(readlink -f "$(command -v erl)")
pa=("${lib%/bin/erl}"/lib/{p1_*,mnesia-*,ssl-*,public_key-*}/ebin "$EBIN")
mf=''
if [ "$MIRRORFLY" = 1 ]; then
    make_module "$DIR"
    pa+=("$DIR/ebin") mf="  mod_mirrorfly: {}"
fi
case $STARTTLS in
required) starttls='starttls_required: true' ;;
optional) starttls='starttls: true' ;;
off) starttls='starttls: false' ;;
*) die "STARTTLS is required, optional or off" ;;
esac

tpl=$(cat "$HERE/ejabberd/ejabberd.yml.in")
fill() { tpl=${tpl//"@$1@"/"$2"}; }
fill DIR "$DIR"; fill XMPP_HOST "$XMPP_HOST"; fill XMPP_IP "$XMPP_IP"; fill LOGLEVEL "$LOGLEVEL"
fill C2S_PORT "$C2S_PORT"; fill C2S_TLS_PORT "$C2S_TLS_PORT"; fill HTTP_PORT "$HTTP_PORT"
fill HTTPS_PORT "$HTTPS_PORT"; fill MAX_STANZA "$MAX_STANZA"; fill MAX_SESSIONS "$MAX_SESSIONS"
fill STARTTLS "$starttls"; fill NO_SCRAM "$no_scram"; fill PASSWORDS "$PASSWORDS"; fill FAIL2BAN "$f2b"
fill MIRRORFLY "$mf"; fill BACKLOG "$BACKLOG"
fill PING "$PING"; fill PING_INTERVAL "$PING_INTERVAL"; fill PING_ACK "$PING_ACK"
fill WS_PING "$WS_PING"; fill WS_TIMEOUT "$WS_TIMEOUT"; fill RESUME "$RESUME"
printf '%s\n' "$tpl" >"$DIR/ejabberd.yml"
cat >"$DIR/inetrc" <<'RC'
{lookup,["file","native"]}.
RC
(umask 077; rm -f "$DIR/home/.erlang.cookie"; printf '%s' "$COOKIE" >"$DIR/home/.erlang.cookie"; chmod 400 "$DIR/home/.erlang.cookie")
# What ejabberdctl.sh and stop-ejabberd.sh need to know.
cat >"$DIR/env" <<ENV
NODE=$NODE
XMPP_IP=$XMPP_IP
XMPP_HOST=$XMPP_HOST
C2S_PORT=$C2S_PORT
C2S_TLS_PORT=$C2S_TLS_PORT
HTTP_PORT=$HTTP_PORT
HTTPS_PORT=$HTTPS_PORT
DIST_PORT=$DIST_PORT
EBIN=$EBIN
ENV

# No epmd: every node of a cluster uses one DIST_PORT, each on its own 127.0.0.x.
ip_tuple="{${XMPP_IP//./,}}"
: >"$DIR/log/ejabberd.log"
cd "$DIR" || exit 1
# Less work at the start: no translations to read, and no look at /etc/localtime for the time of each event.
mkdir -p "$DIR/msgs"
export TZ=UTC0 EJABBERD_MSGS_PATH="$DIR/msgs"
export HOME="$DIR/home" ERL_INETRC="$DIR/inetrc" ERL_CRASH_DUMP_BYTES=0 \
    ERL_DIST_PORT="$DIST_PORT" ERL_MAX_PORTS=65536 ERL_MAX_ETS_TABLES=2053 \
    EJABBERD_CONFIG_PATH="$DIR/ejabberd.yml" EJABBERD_LOG_PATH="$DIR/log/ejabberd.log"
launch "$DIR/ejabberd.pid" "$DIR/log/console.log" \
    erl -pa "${pa[@]}" -name "$NODE" -noinput +K true +P 250000 $QUIET \
    -erl_epmd_port "$DIST_PORT" -start_epmd false -kernel inet_dist_use_interface "$ip_tuple" \
    -mnesia dir "\"$DIR/spool\"" -s ejabberd

for ((i = 0; i < 2400; i++)); do # a busy machine takes long
    alive "$pid" || { rm -f "$DIR/ejabberd.pid"; tail -n 20 "$DIR/log/console.log" "$DIR/log/ejabberd.log" >&2; die "ejabberd exited"; }
    if has 'is started in the node' "$DIR/log/ejabberd.log" &&
        ! port_free "$XMPP_IP" "$C2S_PORT" && ! port_free "$XMPP_IP" "$HTTPS_PORT"; then
        echo "ready ejabberd pid=$pid seconds=$(since "$T0") node=$NODE host=$XMPP_HOST ip=$XMPP_IP" \
            "c2s=$C2S_PORT c2s_tls=$C2S_TLS_PORT http=$HTTP_PORT https=$HTTPS_PORT"
        echo "  ws://$XMPP_IP:$HTTP_PORT/websocket  wss://$XMPP_IP:$HTTPS_PORT/websocket  http://$XMPP_IP:$HTTP_PORT/api/status"
        exit 0
    fi
    sleep 0.1
done
tail -n 20 "$DIR/log/ejabberd.log" >&2
stop_pidfile "$DIR/ejabberd.pid"
die "not ready after 240 s"
