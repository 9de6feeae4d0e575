package fleet

import (
	"encoding/json"
	"hash/fnv"
	"strconv"
	"strings"
	"time"
)

// Keys of records.
const (
	keyBucket    = "bucket"
	prefixMember = "member."
	prefixShard  = "shard."
)

const (
	// defaultShards is how many shards a bucket gets when it is made.
	defaultShards = 4096
	// maxShards is the largest number that is believed.
	maxShards = 1 << 16
	// maxRecord is how many bytes of a record are looked at.
	maxRecord = 4 << 10
)

// bucketRecord says what all members must agree on. It is written once.
type bucketRecord struct {
	// ID is random.
	ID string `json:"id"`
	// Shards is how many there are.
	Shards int `json:"shards"`
}

// memberRecord is a heartbeat.
type memberRecord struct {
	// Max is Config.Max.
	Max int `json:"max,omitempty"`
	// TTL is Config.TTL in milliseconds: others wait so long, whatever their own is.
	TTL int64 `json:"ttl"`
	// Beat counts the renewals.
	Beat uint64 `json:"beat"`
	// Leaving: it hands over what it holds and takes nothing.
	Leaving bool `json:"leaving,omitempty"`
	// Gone: it holds nothing and never will. A process that goes on gets another id.
	Gone bool `json:"gone,omitempty"`
}

// ttl is how long the member may be silent.
func (r memberRecord) ttl() time.Duration {
	const longest = time.Hour
	if r.TTL <= 0 || r.TTL > longest.Milliseconds() {
		return longest
	}
	return time.Duration(r.TTL) * time.Millisecond
}

// shardRecord says whose a shard is. Its revision is the epoch.
type shardRecord struct {
	// Owner is the id of a member; empty: nobody's.
	Owner string `json:"owner"`
}

// marshal is for records, which always can be marshalled.
func marshal(record any) []byte {
	raw, err := json.Marshal(record)
	if err != nil {
		panic(err)
	}
	return raw
}

// unmarshal reports whether raw is such a record.
func unmarshal(raw []byte, record any) bool {
	return len(raw) <= maxRecord && json.Unmarshal(raw, record) == nil
}

func keyOfShard(n int) string { return prefixShard + strconv.Itoa(n) }

// shardOf is the shard of an account, of as many as there are. Servers fold the case of user names,
// so it does not count.
func shardOf(username string, shards int) int {
	h := fnv.New64a()
	_, _ = h.Write([]byte(strings.ToLower(username)))
	return int(h.Sum64() % uint64(shards))
}
