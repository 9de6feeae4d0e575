package sdk

import "github.com/mirrorfly-go/sdk/internal/dispatch"

// What goes first when more events wait than the queue holds, from the first to the last.
const (
	rankTyping dispatch.Rank = iota
	rankPresence
	rankProfile
	// rankStatus: what became of messages that were sent.
	rankStatus
	// rankState: blocks, deletions, the administrator.
	rankState
	rankMessage
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

func (e TypingEvent) weight() dispatch.Weight { return weigh(rankTyping, e.FromUserJID) }

func (e MessageStatusEvent) weight() dispatch.Weight {
	return weigh(rankStatus, e.MessageID, e.UserJID)
}

func (e MessageDeletedEvent) weight() dispatch.Weight {
	w := weigh(rankState, e.MessageIDs...)
	w.Bytes += int32(len(e.FromUserJID) + len(e.ToUserJID))
	return w
}

// mapEntry is about what a map needs for an entry besides its texts, which may be shorter.
const mapEntry = 64

// What is made of the body is not longer than the body.
func (m Message) weight() dispatch.Weight {
	w := weigh(rankMessage, m.ID, m.FromUserJID, m.ToUserJID, m.TopicID, string(m.Type), m.Text)
	w.Bytes += 2 * int32(len(m.Body))
	for key, value := range m.Metadata {
		w.Bytes += int32(len(key) + len(value) + mapEntry)
	}
	return w
}

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
