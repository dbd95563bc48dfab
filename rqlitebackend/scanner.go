package rqlitebackend

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

var errSyntax = errors.New("the answer is not the JSON that rqlite sends")

// A scanner reads JSON from left to right. It exists because encoding/json turns
// every value into an interface, and the answers to reads are mostly values. The
// first error sticks; what is read after it means nothing.
type scanner struct {
	b   []byte
	at  int
	err error
}

func (s *scanner) fail() {
	if s.err == nil {
		s.err = fmt.Errorf("%w (at byte %d of %d)", errSyntax, s.at, len(s.b))
	}
	s.at = len(s.b)
}

// peek returns the next byte that is not space, or 0 at the end.
func (s *scanner) peek() byte {
	for s.at < len(s.b) {
		switch b := s.b[s.at]; b {
		case ' ', '\n', '\t', '\r':
			s.at++
		default:
			return b
		}
	}
	return 0
}

// take consumes the next byte if it is b.
func (s *scanner) take(b byte) bool {
	if s.peek() != b {
		return false
	}
	s.at++
	return true
}

func (s *scanner) expect(b byte) {
	if !s.take(b) {
		s.fail()
	}
}

// more drives a loop over the elements of an array or object that ends with end:
// it consumes the comma between elements, and the end.
func (s *scanner) more(first *bool, end byte) bool {
	if s.take(end) || s.err != nil {
		return false
	}
	if !*first {
		s.expect(',')
	}
	*first = false
	return s.err == nil
}

// null consumes null if it comes next.
func (s *scanner) null() bool {
	if s.peek() != 'n' {
		return false
	}
	s.word("null")
	return true
}

func (s *scanner) word(w string) {
	if len(s.b)-s.at < len(w) || string(s.b[s.at:s.at+len(w)]) != w {
		s.fail()
		return
	}
	s.at += len(w)
}

// number returns the text of a number. It refers to the scanned bytes.
func (s *scanner) number() []byte {
	s.peek()
	from := s.at
	for s.at < len(s.b) {
		switch b := s.b[s.at]; {
		case '0' <= b && b <= '9', b == '-', b == '+', b == '.', b == 'e', b == 'E':
			s.at++
			continue
		}
		break
	}
	if from == s.at {
		s.fail()
	}
	return s.b[from:s.at]
}

// integer reads a number that must be an integer of 64 bits.
func (s *scanner) integer() int64 {
	text := s.number()
	if s.err != nil {
		return 0
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		s.fail()
	}
	return n
}

// float reads a number.
func (s *scanner) float() float64 {
	text := s.number()
	if s.err != nil {
		return 0
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		s.fail()
	}
	return f
}

// text reads a string. It refers to the scanned bytes unless something in it was
// escaped.
func (s *scanner) text() []byte {
	s.expect('"')
	from := s.at
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case '"':
			s.at++
			return s.b[from : s.at-1]
		case '\\':
			return s.escaped(from)
		}
		s.at++
	}
	s.fail()
	return nil
}

// escaped reads on from the first backslash of a string.
func (s *scanner) escaped(from int) []byte {
	out := append([]byte(nil), s.b[from:s.at]...)
	for s.at < len(s.b) {
		b := s.b[s.at]
		s.at++
		switch b {
		case '"':
			return out
		case '\\':
			out = s.escape(out)
		default:
			out = append(out, b)
		}
	}
	s.fail()
	return nil
}

// escape reads what follows a backslash.
func (s *scanner) escape(out []byte) []byte {
	if s.at >= len(s.b) {
		s.fail()
		return out
	}
	b := s.b[s.at]
	s.at++
	switch b {
	case '"', '\\', '/':
		return append(out, b)
	case 'b':
		return append(out, '\b')
	case 'f':
		return append(out, '\f')
	case 'n':
		return append(out, '\n')
	case 'r':
		return append(out, '\r')
	case 't':
		return append(out, '\t')
	case 'u':
		r := s.hex4()
		if !utf16.IsSurrogate(r) {
			return utf8.AppendRune(out, r)
		}
		s.word(`\u`)
		return utf8.AppendRune(out, utf16.DecodeRune(r, s.hex4()))
	}
	s.fail()
	return out
}

func (s *scanner) hex4() rune {
	if len(s.b)-s.at < 4 {
		s.fail()
		return 0
	}
	n, err := strconv.ParseUint(string(s.b[s.at:s.at+4]), 16, 16)
	if err != nil {
		s.fail()
	}
	s.at += 4
	return rune(n)
}

// skip reads any value and drops it.
func (s *scanner) skip() {
	switch b := s.peek(); b {
	case '"':
		s.text()
	case '{', '[':
		s.skipInside(b + 2) // the closing bracket of each is two further in ASCII
	case 't':
		s.word("true")
	case 'f':
		s.word("false")
	case 'n':
		s.word("null")
	default:
		s.number()
	}
}

func (s *scanner) skipInside(end byte) {
	s.at++
	for first := true; s.more(&first, end); {
		if end == '}' {
			s.text()
			s.expect(':')
		}
		s.skip()
	}
}
