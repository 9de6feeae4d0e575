#!/usr/bin/env bash
# install.sh [-n]: installs what `make test` needs, by apt, where it is missing:
# real XMPP servers, the Erlang compiler (for the optional server module), openssl, Node, Chromium, zbar, and the
# C compiler of Go's race detector; then by npm the packages that a test's package-lock.json names.
# Runs as root or through sudo. Says nothing when all is there.
# With -n nothing is installed: the Debian packages that are missing are printed, exit status 1.
# The servers are installed as programs, never as services: nothing is started or enabled.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PATH=$PATH:/usr/sbin:/sbin # where Debian keeps ejabberdctl, and not in everybody's PATH

# What must be there, and the Debian package that brings it.
NEEDS='ejabberdctl=ejabberd erlc=erlang-base prosody=prosody openssl=openssl gcc=gcc node=nodejs npm=npm chromium=chromium zbarimg=zbar-tools'
SERVICES='ejabberd prosody epmd.socket epmd.service'
POLICY=/usr/sbin/policy-rc.d
MARK='mirrorfly-go interop/install.sh'

die() { echo "install.sh: $*" >&2; exit 1; }

missing() { # prints the packages that are not there
    local need
    for need in $NEEDS; do
        command -v "${need%%=*}" >/dev/null || printf '%s ' "${need#*=}"
    done
    # gcc without the C library's headers cannot link the race detector.
    [ -e /usr/include/stdlib.h ] || ! command -v apt-get >/dev/null || printf 'libc6-dev '
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo $SUDO_OPTS "$@"; fi
}

check_root() {
    SUDO_OPTS=''
    [ "$(id -u)" != 0 ] || return 0
    command -v sudo >/dev/null || die "missing: $PACKAGES. Run as root: apt-get install $PACKAGES"
    [ -t 0 ] || SUDO_OPTS=-n # no terminal to type a password on
    as_root true || die "missing: $PACKAGES. sudo was refused; run as root: apt-get install $PACKAGES"
}

# apt starts the services of what it installs unless policy-rc.d says no. A policy that is
# already there belongs to somebody else and stays; ours covers our services alone.
deny_services() {
    local draft
    # One left by a run that was killed.
    ! grep -qs "$MARK" "$POLICY" || as_root rm -f "$POLICY"
    draft=$(mktemp)
    cat >"$draft" <<EOF
#!/bin/sh
# Temporary, from $MARK
case "\$*" in *ejabberd* | *prosody* | *epmd*) exit 101 ;; esac
exit 0
EOF
    chmod 755 "$draft"
    [ -e "$POLICY" ] || as_root cp "$draft" "$POLICY"
    rm -f "$draft"
    trap allow_services EXIT
    trap 'exit 130' INT TERM HUP
}

allow_services() {
    ! grep -qs "$MARK" "$POLICY" || as_root rm -f "$POLICY"
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "$@" </dev/null >>"$LOG" 2>&1
}

# The package lists of a fresh machine are empty and those of an old one stale, hence the second try.
install_packages() {
    LOG=$(mktemp)
    # shellcheck disable=SC2086 # a list of words
    apt_get install $PACKAGES || { apt_get update && apt_get install $PACKAGES; } || {
        cat "$LOG" >&2
        die "apt-get could not install: $PACKAGES"
    }
    rm -f "$LOG"
}

# Not at the next boot either; and --now for the case that a policy of somebody else let them start.
disable_services() {
    local service now=''
    [ ! -d /run/systemd/system ] || now=--now
    for service in $SERVICES; do
        case " $PACKAGES $BROUGHT " in *" ${service%%.*} "*) ;; *) continue ;; esac
        as_root systemctl disable $now --quiet "$service" >/dev/null 2>&1 || true
        [ -n "$now" ] || as_root update-rc.d "$service" disable >/dev/null 2>&1 || true
    done
}

install_missing() {
    command -v apt-get >/dev/null ||
        die "this installs by apt, which is not here. Install these (Debian names) and run again: $PACKAGES"
    # epmd comes with Erlang, so it is ours to disable only where Erlang was not there before.
    BROUGHT=''
    command -v epmd >/dev/null || BROUGHT=epmd
    check_root
    echo "installing: $PACKAGES"
    deny_services
    install_packages
    disable_services
    LEFT=$(missing)
    [ -z "$LEFT" ] || die "installed, but still not found in PATH: $LEFT"
}

# Into node_modules beside each package-lock.json, again whenever that has changed.
install_node_packages() {
    local lock dir
    for lock in "$HERE"/*/package-lock.json "$HERE"/internal/*/package-lock.json; do
        dir=${lock%/*}
        [ -e "$lock" ] && ! [ "$dir/node_modules/.package-lock.json" -nt "$lock" ] || continue
        echo "installing: the npm packages of interop${dir#"$HERE"}"
        (cd "$dir" && npm ci --silent --no-audit --no-fund </dev/null) || die "npm ci failed in $dir"
        touch "$dir/node_modules/.package-lock.json"
    done
}

PACKAGES=$(missing)
PACKAGES=${PACKAGES% }
if [ "${1:-}" = -n ]; then
    [ -z "$PACKAGES" ] || { echo "missing: $PACKAGES"; exit 1; }
    exit 0
fi
[ -z "$PACKAGES" ] || install_missing
install_node_packages
