package input

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"trihold/repo/driver"
)

const (
	// StampField is a field that a record must not have: updates add it.
	StampField = "_trihold"
	// CopyMark is a text that a key must not hold: inserts make new keys with it.
	CopyMark = "\x1fcopy"
)

// A File is a scanned input file.
type File struct {
	Path    string
	Records []Record // in the order of the file
}

// A Record is one line of the file.
type Record struct {
	Key    string
	Group  string // empty if the record has none
	Offset int64  // of the object in the file
	Len    int
}

// An Error says what is wrong with an input file.
type Error struct {
	Path string
	Line int // 0 if it is about the whole file
	Why  string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.Path, e.Why)
	}
	return fmt.Sprintf("%s:%d: %s", e.Path, e.Line, e.Why)
}

// Scan reads a file of one JSON object a line, and checks that every object has
// a usable key that no other has. Key and group are names of fields; a dot leads
// into an object (author.name), unless there is a field with just that name.
// Empty lines are skipped. A limit above zero ends the scan after so many
// records. What is wrong with the file is an *Error.
func Scan(path, key, group string, limit int64) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &Error{Path: path, Why: "cannot be opened: " + reason(err)}
	}
	defer f.Close()
	s := scanner{file: &File{Path: path}, key: key, group: group, lines: map[string]int{}, groups: map[string]string{}}
	in := bufio.NewReaderSize(f, 1<<20)
	for offset, line := int64(0), 1; ; line++ {
		text, err := readLine(in)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, &Error{Path: path, Line: line, Why: "cannot be read: " + reason(err)}
		}
		if why := s.record(text, offset, line); why != "" {
			return nil, &Error{Path: path, Line: line, Why: why}
		}
		offset += int64(len(text))
		if err != nil || limit > 0 && int64(len(s.file.Records)) == limit {
			break
		}
	}
	if len(s.file.Records) == 0 {
		return nil, &Error{Path: path, Why: "has no records; it should have one JSON object a line"}
	}
	return s.file, nil
}

// reason is the cause of a file error without the path, which is said already.
func reason(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	line = bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		var more []byte
		more, err = in.ReadSlice('\n')
		line = append(line, more...)
	}
	return line, err
}

type scanner struct {
	file       *File
	key, group string
	lines      map[string]int    // where each key was seen
	groups     map[string]string // each group once
}

// record adds the record of a line, or says why it cannot.
func (s *scanner) record(line []byte, offset int64, number int) (why string) {
	text := bytes.TrimLeft(line, " \t\r\n")
	offset += int64(len(line) - len(text))
	text = bytes.TrimRight(text, " \t\r\n")
	if len(text) == 0 {
		return ""
	}
	if len(text) > driver.MaxRow-driver.MaxKey*3 {
		return fmt.Sprintf("the record has %d bytes, the limit is %d", len(text), driver.MaxRow-driver.MaxKey*3)
	}
	if !utf8.Valid(text) {
		return "the record is not valid UTF-8"
	}
	if text[0] != '{' {
		return "not a JSON object"
	}
	var doc map[string]any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		return "not a JSON object: " + strings.TrimPrefix(err.Error(), "json: ")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return "more than one JSON value on the line"
	}
	if _, has := doc[StampField]; has {
		return fmt.Sprintf("the record has a field %q, which updates are going to add", StampField)
	}
	key, has, ok := scalar(doc, s.key)
	switch {
	case !has:
		return fmt.Sprintf("the record has no field %q, which is to be its key; it has: %s", s.key, names(doc))
	case !ok:
		return fmt.Sprintf("field %q, which is to be the key, is not a string, number or bool", s.key)
	case key == "":
		return fmt.Sprintf("field %q, which is to be the key, is empty", s.key)
	case len(key) > maxKey:
		return fmt.Sprintf("the key has %d bytes, the limit is %d", len(key), maxKey)
	case strings.Contains(key, CopyMark):
		return fmt.Sprintf("the key holds %q, which new keys are made with", CopyMark)
	}
	if first, twice := s.lines[key]; twice {
		return fmt.Sprintf("key %q is there twice: also in line %d", key, first)
	}
	s.lines[key] = number
	group, has, ok := scalar(doc, s.group)
	switch {
	case has && !ok:
		return fmt.Sprintf("field %q, which is to be the group, is not a string, number or bool", s.group)
	case len(group) > maxKey:
		return fmt.Sprintf("the group has %d bytes, the limit is %d", len(group), maxKey)
	}
	if _, known := s.groups[group]; !known {
		s.groups[group] = group
	}
	s.file.Records = append(s.file.Records, Record{Key: key, Group: s.groups[group], Offset: offset, Len: len(text)})
	return ""
}

// maxKey leaves room for what makes a new key of an old one.
const maxKey = driver.MaxKey - 64

// scalar returns the field that a path leads to as text.
func scalar(doc map[string]any, path string) (text string, has, ok bool) {
	v, has := doc[path]
	for !has {
		head, tail, dotted := strings.Cut(path, ".")
		inner, isObject := doc[head].(map[string]any)
		if !dotted || !isObject {
			return "", false, false
		}
		doc, path = inner, tail
		v, has = doc[path]
	}
	switch x := v.(type) {
	case nil:
		return "", false, false
	case string:
		return x, true, true
	case json.Number:
		return x.String(), true, true
	case bool:
		return fmt.Sprint(x), true, true
	}
	return "", true, false
}

// names lists a few fields of a record, for a message.
func names(doc map[string]any) string {
	all := make([]string, 0, len(doc))
	for name := range doc {
		all = append(all, name)
	}
	slices.Sort(all)
	if len(all) > 8 {
		return strings.Join(all[:8], ", ") + ", ..."
	}
	return strings.Join(all, ", ")
}
