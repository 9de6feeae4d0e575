package main

import (
	"bufio"
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mirrorfly-go/sdk"
)

const (
	maxSent     = 32 << 20 // bytes of a file that is sent from the page
	fileTimeout = time.Minute
)

// download serves the file of a message, which the user "as" can read. Its content is what somebody
// has sent and may be anything: only pictures are shown, everything else is for saving.
func (p *page) download(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	s, err := p.chats.of(q.Get("as"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	f := p.fileOf(s.user, q.Get("with"), q.Get("from"), q.Get("id"))
	if f == nil {
		http.Error(w, "there is no such file", http.StatusNotFound)
		return
	}
	saved := &saver{w: w}
	out := bufio.NewWriterSize(saved, sniffed)
	_, err = s.DownloadMedia(req.Context(), sdk.MediaFile{FileToken: f.token, FileKey: f.key, Large: f.large}, out)
	if err == nil {
		err = out.Flush()
	}
	switch {
	case err == nil:
	case saved.begun:
		panic(http.ErrAbortHandler) // so that the browser does not take a part for the whole
	default:
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}

const sniffed = 512 // bytes that tell the type of a file

// saver writes a file as an answer. Its first Write has the beginning that tells the type.
type saver struct {
	w     http.ResponseWriter
	begun bool
}

func (s *saver) Write(b []byte) (int, error) {
	if !s.begun {
		s.begun = true
		h := s.w.Header()
		h.Set("Cache-Control", "private, max-age=3600")
		if kind := http.DetectContentType(b); slices.Contains(pictures, kind) {
			h.Set("Content-Type", kind)
		} else {
			h.Set("Content-Type", "application/octet-stream")
			h.Set("Content-Disposition", "attachment")
		}
	}
	return s.w.Write(b)
}

// upload sends a file of the page in the name of the user "as".
func (p *page) upload(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	s, err := p.chats.of(q.Get("as"))
	switch {
	case err != nil:
	case req.ContentLength < 0:
		reply(w, http.StatusLengthRequired, answer{Error: "the size of the file is not known"})
		return
	case req.ContentLength > maxSent:
		reply(w, http.StatusRequestEntityTooLarge, answer{Error: "a file has at most 32 MiB here"})
		return
	default:
		err = p.knows(q.Get("with"))
	}
	if err == nil {
		// This cannot fail: the connections of net/http have deadlines.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(fileTimeout))
		name, kind := cmp.Or(q.Get("name"), "file"), req.Header.Get("Content-Type")
		_, err = s.SendMediaFileMessage(req.Context(), p.jid(q.Get("with")), sdk.MediaMessage{
			Type: messageType(kind), Name: name, ContentType: kind, Reader: req.Body, Size: req.ContentLength,
		})
	}
	if err != nil {
		reply(w, http.StatusUnprocessableEntity, answer{Error: err.Error()})
		return
	}
	reply(w, http.StatusOK, answer{Said: "The file is sent."})
}

// messageType is the type of the message for a file of that content type.
func messageType(contentType string) sdk.MessageType {
	kind, _, _ := strings.Cut(contentType, "/")
	for _, t := range []sdk.MessageType{sdk.MessageTypeImage, sdk.MessageTypeVideo, sdk.MessageTypeAudio} {
		if kind == string(t) {
			return t
		}
	}
	return sdk.MessageTypeFile
}
