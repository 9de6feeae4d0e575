package sdktest

import (
	"fmt"
	"unicode/utf8"

	"github.com/mirrorfly-go/sdk/internal/seal"
)

// The limits that the service documents (protocol.md 3, 5.2), in characters. Its answer above a
// limit is not known; here it is a refusal that names the field. Any file is accepted as a picture:
// the service documents no types for this upload.
const (
	maxIdentifier = 191
	maxMetadata   = 3
	maxNickName   = 30
	maxMobile     = 15
	maxPictureURL = 2048
)

// overLimit names the field of a vCard that is too long. Empty: there is none.
func (s *Server) overLimit(id string, card *element) string {
	_, iv := s.store.ivs()
	sealed := func(name string) string { return seal.Open(childText(card, name), id, iv) }
	for _, field := range []struct {
		name, text string
		most       int
	}{
		{"nickName", sealed("nickName"), maxNickName},
		{"mobileNumber", sealed("mobileNumber"), maxMobile},
		{"image", childText(card, "image"), maxPictureURL},
		{"thumbImage", childText(card, "thumbImage"), maxPictureURL},
	} {
		if utf8.RuneCountInString(field.text) > field.most {
			return fmt.Sprintf("%s has more than %d characters", field.name, field.most)
		}
	}
	return ""
}
