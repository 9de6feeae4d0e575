#!/usr/bin/env bash
# stop-prosody.sh DIR [SECONDS]: TERM, then KILL after SECONDS (15). With SECONDS=0: KILL at once.
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/common.sh"
[ $# -ge 1 ] || die "usage: $0 DIR [SECONDS]"
stop_pidfile "$1/prosody.pid" "${2:-15}"
echo "stopped prosody in ${1##*/}"
