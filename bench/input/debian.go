package input

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Convert turns paragraphs of fields in Debian's control format into records, one
// JSON object a line. If key is not empty, only the last paragraph with each
// value of that field is written, in the place of the first. It returns how many
// were written and how many left out. What is wrong with the input is an *Error.
func Convert(out io.Writer, in io.Reader, key string) (written, left int, err error) {
	c := converter{key: key, at: map[string]int{}, out: bufio.NewWriter(out)}
	lines := bufio.NewReaderSize(in, 1<<16)
	for number := 1; ; number++ {
		line, err := readLine(lines)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, 0, &Error{Path: "standard input", Line: number, Why: "cannot be read: " + reason(err)}
		}
		if why := c.line(string(bytes.TrimRight(line, "\r\n")), len(line) == 0, number); why != "" {
			return 0, 0, &Error{Path: "standard input", Line: number, Why: why}
		}
		if err != nil {
			break
		}
	}
	return c.finish()
}

type converter struct {
	key     string
	out     *bufio.Writer
	fields  [][2]string // of the paragraph so far
	records [][]byte    // held back because a later one may replace them
	at      map[string]int
	written int
	left    int
}

// line takes one line, or says what is wrong with it.
func (c *converter) line(text string, end bool, number int) (why string) {
	switch {
	case end || strings.TrimSpace(text) == "":
		return c.paragraph()
	case text[0] == '#':
		return ""
	case text[0] == ' ' || text[0] == '\t':
		if len(c.fields) == 0 {
			return "a continued line begins a paragraph: this is not a package index"
		}
		c.fields[len(c.fields)-1][1] += "\n" + strings.TrimPrefix(text[1:], ".")
		return ""
	}
	name, value, ok := strings.Cut(text, ":")
	if !ok || name == "" || strings.ContainsAny(name, " \t") {
		return fmt.Sprintf("%.40q is not a field, such as Package: name: this is not a package index; is it still compressed?", text)
	}
	c.fields = append(c.fields, [2]string{name, strings.TrimSpace(value)})
	return ""
}

// paragraph ends a paragraph.
func (c *converter) paragraph() (why string) {
	if len(c.fields) == 0 {
		return ""
	}
	var b bytes.Buffer
	key, hasKey := "", false
	for i, f := range c.fields {
		b.WriteByte("{,"[min(i, 1)])
		b.Write(quote(f[0]))
		b.WriteByte(':')
		b.Write(quote(f[1]))
		if f[0] == c.key {
			key, hasKey = f[1], true
		}
	}
	b.WriteString("}\n")
	c.fields = c.fields[:0]
	switch {
	case c.key == "":
		c.written++
		if _, err := c.out.Write(b.Bytes()); err != nil {
			return "cannot write the record: " + err.Error()
		}
	case !hasKey:
		return fmt.Sprintf("the paragraph that ends here has no field %q", c.key)
	default:
		if at, twice := c.at[key]; twice {
			c.records[at] = b.Bytes()
			c.left++
		} else {
			c.at[key] = len(c.records)
			c.records = append(c.records, b.Bytes())
		}
	}
	return ""
}

// quote returns text as JSON, without the escapes that only HTML needs.
func quote(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string can always be encoded
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func (c *converter) finish() (written, left int, err error) {
	for _, r := range c.records {
		if _, err := c.out.Write(r); err != nil {
			return 0, 0, fmt.Errorf("write records: %w", err)
		}
		c.written++
	}
	if err := c.out.Flush(); err != nil {
		return 0, 0, fmt.Errorf("write records: %w", err)
	}
	if c.written == 0 {
		return 0, 0, &Error{Path: "standard input", Why: "has no paragraphs; give it a package index, not compressed"}
	}
	return c.written, c.left, nil
}
