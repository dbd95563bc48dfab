package rqlitebackend

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"trihold/internal/sqlstmt"
	"trihold/repo/driver"
)

// A request to rqlite is a JSON array of statements, each an array of the SQL
// text and its positional arguments. Four things in it are not what they seem:
//
//   - A string of the form x'00ff' is taken as a blob wherever it stands. That is
//     how blobs are sent here. A text that looks like one is sent as the blob of
//     its bytes, and the placeholder becomes CAST(? AS TEXT).
//   - A number without a point or exponent is an integer, so that 1.0 must keep
//     its ".0".
//   - Arguments that are too many are ignored, and an empty statement is skipped
//     and shifts the results: both are refused here.
//   - The SQL of a statement may be several statements, which are executed one
//     after another until one fails. They take their arguments from left to
//     right.

// An encoded statement is the JSON of its parts.
type encoded struct {
	sql  string // not yet JSON
	args []byte // each argument preceded by a comma
}

// encode encodes a statement.
func encode(st sqlstmt.Stmt) (encoded, error) {
	if st.SQL == "" {
		return encoded{}, fmt.Errorf("empty statement: %w", driver.ErrInvalid)
	}
	if marks := strings.Count(st.SQL, "?"); marks != len(st.Args) {
		return encoded{}, fmt.Errorf("statement %q with %d arguments: %w", st.SQL, len(st.Args), driver.ErrInvalid)
	}
	size := 0
	for _, v := range st.Args {
		size += argSize(v)
	}
	e := encoded{sql: st.SQL, args: make([]byte, 0, size)}
	var casts []int
	for i, v := range st.Args {
		e.args = append(e.args, ',')
		var cast bool
		var err error
		if e.args, cast, err = appendArg(e.args, v); err != nil {
			return encoded{}, err
		}
		if cast {
			casts = append(casts, i)
		}
	}
	if casts != nil {
		e.sql = castToText(e.sql, casts)
	}
	return e, nil
}

// argSize returns about as many bytes as an argument needs.
func argSize(v driver.Value) int {
	switch x := v.(type) {
	case string:
		return len(x) + len(x)/8 + 4
	case []byte:
		return 2*len(x) + 6
	}
	return 22
}

// appendArg appends one argument. It reports whether it is a text sent as a
// blob.
func appendArg(dst []byte, v driver.Value) (_ []byte, cast bool, err error) {
	switch x := v.(type) {
	case nil:
		return append(dst, "null"...), false, nil
	case int64:
		return strconv.AppendInt(dst, x, 10), false, nil
	case float64:
		return appendFloat(dst, x), false, nil
	case []byte:
		return appendBlob(dst, x), false, nil
	case string:
		switch {
		case looksLikeBlob(x):
			return appendBlob(dst, []byte(x)), true, nil
		case !utf8.ValidString(x):
			return nil, false, fmt.Errorf("text is not valid UTF-8: %w", driver.ErrInvalid)
		}
		return appendString(dst, x), false, nil
	}
	return nil, false, fmt.Errorf("an argument of type %T: %w", v, driver.ErrInvalid)
}

// looksLikeBlob reports whether rqlite could take a text for a blob. It may be
// wrong the other way: such a text is only sent in a longer form.
func looksLikeBlob(s string) bool {
	if s == "" || s[0] > ' ' && s[0] < utf8.RuneSelf && s[0]|0x20 != 'x' {
		return false
	}
	s = strings.TrimSpace(s)
	return len(s) >= 3 && s[0]|0x20 == 'x' && s[1] == '\''
}

func appendBlob(dst, b []byte) []byte {
	dst = append(dst, `"x'`...)
	dst = hex.AppendEncode(dst, b)
	return append(dst, `'"`...)
}

// appendFloat appends the shortest number that reads back as f and that rqlite
// does not take for an integer.
func appendFloat(dst []byte, f float64) []byte {
	from := len(dst)
	dst = strconv.AppendFloat(dst, f, 'g', -1, 64)
	for _, b := range dst[from:] {
		if b == '.' || b == 'e' {
			return dst
		}
	}
	return append(dst, ".0"...)
}

// appendString appends a JSON string.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	dst = appendEscaped(dst, s)
	return append(dst, '"')
}

// appendEscaped appends the inside of a JSON string.
func appendEscaped(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	from := 0
	for i := range len(s) {
		b := s[i]
		if b >= ' ' && b != '"' && b != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch b {
		case '"', '\\':
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, '\\', 'n')
		default:
			dst = append(dst, '\\', 'u', '0', '0', digits[b>>4], digits[b&15])
		}
	}
	return append(dst, s[from:]...)
}

// castToText wraps the placeholders with the given numbers.
func castToText(sql string, casts []int) string {
	var b strings.Builder
	for n := 0; ; n++ {
		before, after, found := strings.Cut(sql, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if len(casts) > 0 && casts[0] == n {
			casts = casts[1:]
			b.WriteString("CAST(? AS TEXT)")
		} else {
			b.WriteByte('?')
		}
		sql = after
	}
}

// appendStatement appends one element of a request: statements that are executed
// one after another.
func appendStatement(dst []byte, parts ...encoded) []byte {
	dst = append(dst, '[', '"')
	for i, p := range parts {
		if i > 0 {
			dst = append(dst, ';')
		}
		dst = appendEscaped(dst, p.sql)
	}
	dst = append(dst, '"')
	for _, p := range parts {
		dst = append(dst, p.args...)
	}
	return append(dst, ']')
}

// appendBody appends a request of one element for each statement.
func appendBody(dst []byte, statements []sqlstmt.Stmt) ([]byte, error) {
	dst = append(dst, '[')
	for i, st := range statements {
		if i > 0 {
			dst = append(dst, ',')
		}
		e, err := encode(st)
		if err != nil {
			return nil, err
		}
		dst = appendStatement(dst, e)
	}
	return append(dst, ']'), nil
}
