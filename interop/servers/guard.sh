#!/usr/bin/env bash
# guard.sh CMD ARGS: runs a server as the start scripts want it, in a process group of its own.
# With XMPP_GUARD_FD=N the server lives no longer than whoever holds the other end of the pipe
# that is open here as descriptor N: when that closes, be it by kill -9, the whole group is killed.
# Must be started as the leader of its session (setsid), so that its pid names the group.
set -u
[ -n "${XMPP_GUARD_FD:-}" ] || exec "$@"

group=$$
eval "exec 3<&$XMPP_GUARD_FD"
trap : TERM # sent to the group: the server ends in order, then so do we
"$@" 3<&- &
server=$!
# Reads nothing, only the end.
(trap '' TERM; cat <&3 >/dev/null; kill -KILL -- "-$group") &
while kill -0 "$server" 2>/dev/null; do wait "$server"; done
kill -KILL -- "-$group" # the reader, and whatever the server left behind
