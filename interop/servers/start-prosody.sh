#!/usr/bin/env bash
# start-prosody.sh DIR
# Starts one private Prosody whose whole state lives under DIR, waits until it
# listens, prints the ports, and leaves the pid in DIR/prosody.pid.
# Stop it with stop-prosody.sh DIR. Needs: apt install prosody (not running).
#
# Environment (default):
#   XMPP_IP (127.0.0.1)   PORT_BASE (16200)   XMPP_HOST (xmpp.mirrorfly.test)
#   C2S_PORT (BASE+22) C2S_TLS_PORT (BASE+23) HTTP_PORT (BASE+80) HTTPS_PORT (BASE+43)
#   AUTH (internal_hashed | internal_plain)   STARTTLS (required | optional)
#   MAX_STANZA (262144)   RESUME (300)   LOGLEVEL (info)
#   VCARD (vcard = verbatim XEP-0054 | vcard_legacy = converted to vCard4 in PEP, custom children lost)
#   EXTRA_MODULES          space-separated module names, looked up in PLUGINS too
#   PLUGINS (prosody/modules beside this script)
#   XMPP_GUARD_FD          see guard.sh; tests set it
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/common.sh"
[ $# -eq 1 ] || die "usage: $0 DIR"
T0=$(date +%s%N)
mkdir -p "$1" || die "cannot make $1"
DIR=$(cd "$1" && pwd)

: "${XMPP_IP:=127.0.0.1}" "${PORT_BASE:=16200}" "${XMPP_HOST:=xmpp.mirrorfly.test}"
: "${C2S_PORT:=$((PORT_BASE + 22))}" "${C2S_TLS_PORT:=$((PORT_BASE + 23))}"
: "${HTTP_PORT:=$((PORT_BASE + 80))}" "${HTTPS_PORT:=$((PORT_BASE + 43))}"
: "${AUTH:=internal_hashed}" "${STARTTLS:=required}" "${MAX_STANZA:=262144}"
: "${VCARD:=vcard}" "${RESUME:=300}" "${LOGLEVEL:=info}" "${EXTRA_MODULES:=}" "${PLUGINS:=$HERE/prosody/modules}"

case $XMPP_IP in 127.*) ;; *) die "XMPP_IP must be a loopback address" ;; esac
command -v prosody >/dev/null || die "prosody is not installed (apt install prosody)"
pid_alive "$DIR/prosody.pid" && die "already running: pid $(cat "$DIR/prosody.pid")"
need_ports "$XMPP_IP" "$C2S_PORT" "$C2S_TLS_PORT" "$HTTP_PORT" "$HTTPS_PORT"
mkdir -p "$DIR"/{data,log}
make_cert "$DIR" "$XMPP_HOST"

as_root=false; [ "$(id -u)" = 0 ] && as_root=true
req=true plain=false; [ "$STARTTLS" = optional ] && req=false plain=true
extra=''; for m in $EXTRA_MODULES; do extra+="\"$m\", "; done

tpl=$(cat "$HERE/prosody/prosody.cfg.lua.in")
fill() { tpl=${tpl//"@$1@"/"$2"}; }
fill DIR "$DIR"; fill XMPP_HOST "$XMPP_HOST"; fill XMPP_IP "$XMPP_IP"; fill LOGLEVEL "$LOGLEVEL"
fill C2S_PORT "$C2S_PORT"; fill C2S_TLS_PORT "$C2S_TLS_PORT"; fill HTTP_PORT "$HTTP_PORT"
fill HTTPS_PORT "$HTTPS_PORT"; fill MAX_STANZA "$MAX_STANZA"; fill RESUME "$RESUME"
fill AUTH "$AUTH"; fill AS_ROOT "$as_root"; fill REQUIRE_TLS "$req"; fill ALLOW_PLAIN "$plain"
fill EXTRA_MODULES "$extra"; fill PLUGINS "$PLUGINS"; fill VCARD "$VCARD"
printf '%s\n' "$tpl" >"$DIR/prosody.cfg.lua"
cat >"$DIR/env" <<ENV
XMPP_IP=$XMPP_IP
XMPP_HOST=$XMPP_HOST
C2S_PORT=$C2S_PORT
C2S_TLS_PORT=$C2S_TLS_PORT
HTTP_PORT=$HTTP_PORT
HTTPS_PORT=$HTTPS_PORT
ENV

cd "$DIR" || exit 1
launch "$DIR/prosody.pid" "$DIR/log/console.log" prosody -F --config "$DIR/prosody.cfg.lua"

for ((i = 0; i < 2400; i++)); do # a busy machine takes long
    alive "$pid" || { rm -f "$DIR/prosody.pid"; tail -n 20 "$DIR/log/prosody.log" "$DIR/log/console.log" >&2; die "prosody exited"; }
    if ! port_free "$XMPP_IP" "$C2S_PORT" && ! port_free "$XMPP_IP" "$HTTPS_PORT"; then
        echo "ready prosody pid=$pid seconds=$(since "$T0") host=$XMPP_HOST ip=$XMPP_IP" \
            "c2s=$C2S_PORT c2s_tls=$C2S_TLS_PORT http=$HTTP_PORT https=$HTTPS_PORT"
        echo "  ws://$XMPP_IP:$HTTP_PORT/websocket  wss://$XMPP_IP:$HTTPS_PORT/websocket"
        exit 0
    fi
    sleep 0.1
done
stop_pidfile "$DIR/prosody.pid"
die "not ready after 240 s"
