# Shared helpers for the server scripts. Sourced, not executed; HERE is the scripts' folder.

# For erl: its threads sleep when there is nothing to do, instead of looking for more for a while.
QUIET='+sbwt none +sbwtdcpu none +sbwtdio none'

die() { echo "error: $*" >&2; exit 1; }

# make_cert DIR HOST: one self-signed P-256 certificate, reused when present.
# Files: DIR/tls/cert.pem, DIR/tls/key.pem, DIR/tls/both.pem (key + cert).
make_cert() {
    local dir=$1 host=$2 tls=$1/tls
    [ -s "$tls/both.pem" ] && return 0
    mkdir -p "$tls"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
        -days 3650 -subj "/CN=$host" \
        -addext "subjectAltName=DNS:$host,DNS:*.$host,DNS:localhost,IP:127.0.0.1,IP:127.0.0.2,IP:127.0.0.3,IP:::1" \
        -keyout "$tls/key.pem" -out "$tls/cert.pem" 2>"$tls/openssl.log" || die "openssl failed: $(cat "$tls/openssl.log")"
    cat "$tls/key.pem" "$tls/cert.pem" >"$tls/both.pem"
    chmod 600 "$tls/key.pem" "$tls/both.pem"
}

# port_free IP PORT
port_free() { ! (exec 9<>"/dev/tcp/$1/$2") 2>/dev/null; }

# find_ejabberd: sets EBIN, the folder of its modules, which Debian keeps outside of Erlang's own.
find_ejabberd() {
    EBIN=$(dpkg -L ejabberd 2>/dev/null | grep '/ebin/ejabberd\.beam$') || die "ejabberd is not installed (apt install ejabberd)"
    EBIN=${EBIN%/ejabberd.beam}
}

# make_module DIR: compiles mod_mirrorfly into DIR/ebin, reused when present. Needs find_ejabberd.
make_module() {
    local dir=$1 source=$HERE/ejabberd/src/mod_mirrorfly.erl inc
    [ "$dir/ebin/mod_mirrorfly.beam" -nt "$source" ] && return 0
    mkdir -p "$dir"/{ebin,log}
    inc=$(dpkg -L erlang-p1-xmpp | sed -n 's,/xmpp\.hrl$,,p' | head -1)
    ERL_FLAGS="+S 1:1 $QUIET" erlc -pa "$EBIN" -I "$inc" -o "$dir/ebin" "$source" >"$dir/log/erlc.log" 2>&1 ||
        die "erlc failed: $(cat "$dir/log/erlc.log")"
}

# need_ports IP PORT..: dies when one is taken.
need_ports() {
    local ip=$1 p
    shift
    for p; do port_free "$ip" "$p" || die "port $ip:$p is taken"; done
}

# alive PID: running, and not merely a zombie that nobody has waited for. Starts no process.
alive() {
    local stat
    read -r stat 2>/dev/null <"/proc/$1/stat" && [[ ${stat##*) } != Z* ]]
}

# has TEXT FILE: the file contains the text. Starts no process.
has() {
    local content
    read -rd '' content 2>/dev/null <"$2"
    [[ $content == *"$1"* ]]
}

# api IP PORT COMMAND JSON: prints what ejabberd's HTTP API answers. Fails when that is no 200.
api() (
    exec 2>/dev/null 8<>"/dev/tcp/$1/$2" || exit 1
    printf 'POST /api/%s HTTP/1.0\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' \
        "$3" "$1" "${#4}" "$4" >&8
    read -rd '' -t 60 answer <&8
    [[ $answer == 'HTTP/1.'?' 200 '* ]] && printf '%s\n' "${answer#*$'\r\n\r\n'}"
)

# pid_alive FILE
pid_alive() { [ -s "$1" ] && alive "$(cat "$1")"; }

# launch PIDFILE LOG CMD..: starts CMD in the background as a session of its own and sets pid.
launch() {
    local file=$1 log=$2
    shift 2
    setsid "$HERE/guard.sh" "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    echo "$pid" >"$file"
}

# stop_pidfile FILE [SECONDS]: TERM to the process group, wait, KILL. With SECONDS=0: KILL at once.
stop_pidfile() {
    local file=$1 limit=${2:-20} pid i
    pid_alive "$file" || { rm -f "$file"; return 0; }
    pid=$(cat "$file")
    [ "$limit" = 0 ] || kill -TERM -- "-$pid" 2>/dev/null
    for ((i = 0; i < limit * 20; i++)); do
        alive "$pid" || { rm -f "$file"; return 0; }
        sleep 0.05
    done
    kill -KILL -- "-$pid" 2>/dev/null
    while alive "$pid"; do sleep 0.02; done
    rm -f "$file"
    [ "$limit" = 0 ] || echo "warning: had to kill $pid" >&2
}

# since T0: the seconds since T0 (nanoseconds), as 1.23
since() {
    local ns=$(($(date +%s%N) - $1))
    printf '%d.%02d' $((ns / 1000000000)) $((ns / 10000000 % 100))
}
