package sdktest

import (
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"strings"
)

var errForm = errors.New("too many form fields, or too long a name")

// mediaForm is the form of a single-part upload.
type mediaForm struct {
	fields map[string]string
	file   *medium
	// name is that of the file.
	name string
	seen formText
}

// read reads the parts as they come. It writes the file to the media store.
func (f *mediaForm) read(mr *multipart.Reader, m *mediaStore) error {
	for {
		p, err := mr.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(f.seen) >= maxForm || len(p.FormName())+len(p.FileName()) > maxField {
			return errForm
		}
		if p.FormName() == "file" && f.file == nil {
			if f.file, err = m.write(p, p.Header.Get("Content-Type")); err != nil {
				return err
			}
			f.name = p.FileName()
			f.seen.add("file", fileText{Name: f.name, ContentType: f.file.ContentType, Size: f.file.Size})
			continue
		}
		value, err := io.ReadAll(io.LimitReader(p, maxField))
		if err != nil {
			return err
		}
		f.fields[p.FormName()] = string(value)
		f.seen.add(p.FormName(), string(value))
	}
}

// formText is a form as the journal has it: the members of a JSON object, in
// the order in which they came.
type formText []string

type fileText struct {
	Name        string `json:"name"`
	ContentType string `json:"contentType"`
	Size        int64  `json:"size"`
}

func (l *formText) add(name string, value any) {
	key, err := json.Marshal(name)
	text, verr := json.Marshal(value)
	if err == nil && verr == nil { // strings and numbers cannot fail
		*l = append(*l, string(key)+":"+string(text))
	}
}

func (l formText) json() string { return "{" + strings.Join(l, ",") + "}" }
