package sdk

import "github.com/mirrorfly-go/sdk/internal/dispatch"

// What goes first when more events wait than the queue holds, from the first to the last.
const (
	rankPresence dispatch.Rank = iota
	rankProfile
	// rankState: blocks, deletions, the administrator.
	rankState
	// rankConnection: changes of the connection, and what was missed.
	rankConnection
)

// event is anything that listeners are told.
type event interface{ weight() dispatch.Weight }

// The texts of Err are short.
func (e ConnectionEvent) weight() dispatch.Weight {
	return weigh(rankConnection, string(e.Status), e.Message)
}

func (e MissedEvent) weight() dispatch.Weight      { return weigh(rankConnection) }
func (e PresenceEvent) weight() dispatch.Weight    { return weigh(rankPresence, e.FromUserJID, e.Status) }
func (e BlockEvent) weight() dispatch.Weight       { return weigh(rankState, e.UserID, e.UserJID) }
func (e UserDeletedEvent) weight() dispatch.Weight { return weigh(rankState, e.UserJID) }
func (e AdminBlockEvent) weight() dispatch.Weight  { return weigh(rankState, e.JID, string(e.ChatType)) }

func (p Profile) weight() dispatch.Weight {
	return weigh(rankProfile, p.UserID, p.UserJID, p.FromUser, p.NickName, p.Email, p.MobileNumber,
		p.Status, p.Image, p.ThumbImage)
}

// weigh needs no more than 32 bits: a stanza has 1 MiB at most, an answer 4 MiB.
func weigh(rank dispatch.Rank, texts ...string) dispatch.Weight {
	w := dispatch.Weight{Rank: rank}
	for _, text := range texts {
		w.Bytes += int32(len(text))
	}
	return w
}
