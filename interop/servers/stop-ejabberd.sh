#!/usr/bin/env bash
# stop-ejabberd.sh DIR [SECONDS]: TERM (a clean ejabberd stop), then KILL after SECONDS (20).
# With SECONDS=0 the node is killed at once.
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/common.sh"
[ $# -ge 1 ] || die "usage: $0 DIR [SECONDS]"
stop_pidfile "$1/ejabberd.pid" "${2:-20}"
echo "stopped ejabberd in ${1##*/}"
