// Package fleet runs many accounts on several machines: each account is logged in exactly once, and
// when a machine dies, the others take its accounts over.
//
// Every machine runs a member, [Fleet.Run]. Accounts belong to shards by a hash of their name.
// Members share the shards, by records in a [Store]: NATS JetStream in package natsstore. A member
// renews one heartbeat; the record of a shard changes only when the shard moves, by an update at
// the revision that was read. So what the store has to do grows with members, not with accounts.
//
// A member that could not renew its heartbeat for Config.TTL, by the monotonic or by the wall
// clock, sends nothing any more, whatever it was about to do: each write to a connection is
// checked. Who takes over has heard nothing for that time and a margin, and marks the silent member
// as gone before, by an update at the revision of its last heartbeat. All members log an account in
// with the same device id, so that the XMPP server ends what a predecessor has left.
//
// docs/fleet.md has what this promises, and how to size a fleet.
package fleet
