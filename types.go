package sdk

// Result is what every method answers: the envelope of the JavaScript SDK.
// Result and error always agree: err is nil exactly when StatusCode is 200, and
// on failure the error is an [*Error] with the same StatusCode and Message.
type Result[T any] struct {
	// StatusCode is 200 when it worked.
	StatusCode int `json:"statusCode"`
	// Message is "Success", "Login Success", or what went wrong.
	Message string `json:"message"`
	// Data of a list is never nil: no entries is [].
	Data T `json:"data,omitzero"`
}

// None is the Data of a method that answers with nothing but its status.
type None = struct{}

// ChatType says what kind of conversation a JID stands for.
type ChatType string

// The chat types of the service (protocol.md 5.10).
const (
	ChatTypeChat  ChatType = "chat"
	ChatTypeGroup ChatType = "groupchat"
)

// Features are the flags of the plan (protocol.md 3). Those that no method of this library needs
// are there for the app that uses it.
type Features struct {
	GroupChat          bool `json:"groupChat"`          // groups
	Attachment         bool `json:"attachment"`         // sending files of any kind
	ImageAttachment    bool `json:"imageAttachment"`    // sending pictures
	VideoAttachment    bool `json:"videoAttachment"`    // sending films
	AudioAttachment    bool `json:"audioAttachment"`    // sending sound
	DocumentAttachment bool `json:"documentAttachment"` // sending documents
	ContactAttachment  bool `json:"contactAttachment"`  // sending contacts
	LocationAttachment bool `json:"locationAttachment"` // sending places
	One2OneCall        bool `json:"one2oneCall"`        // calls between two
	GroupCall          bool `json:"groupCall"`          // calls between more
	RecentChatSearch   bool `json:"recentchatSearch"`   // searching the recent chats
	StarMessage        bool `json:"starMessage"`        // marking messages
	ClearChat          bool `json:"clearChat"`          // emptying a chat
	DeleteChat         bool `json:"deleteChat"`         // deleting a chat
	Translation        bool `json:"translation"`        // translating messages
	Block              bool `json:"block"`              // BlockUser, UnblockUser
	Report             bool `json:"report"`             // ReportUserOrGroup
	DeleteMessage      bool `json:"deleteMessage"`      // deleting messages
	ViewAllMedias      bool `json:"viewAllMedias"`      // looking at all media of a chat
}
