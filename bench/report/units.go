package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration formats a duration with three digits.
func Duration(d time.Duration) string {
	switch f := float64(d); {
	case d == 0:
		return "-"
	case f < 999.5:
		return digits(f) + " ns"
	case f < 999.5e3:
		return digits(f/1e3) + " us"
	case f < 999.5e6:
		return digits(f/1e6) + " ms"
	default:
		return digits(f/1e9) + " s"
	}
}

// digits formats a number with three digits.
func digits(f float64) string {
	switch {
	case f < 9.995:
		return strconv.FormatFloat(f, 'f', 2, 64)
	case f < 99.95:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'f', 0, 64)
}

// Count formats a number with separators between thousands.
func Count(f float64) string {
	s := strconv.FormatInt(int64(math.Round(f)), 10)
	var b strings.Builder
	for i, c := range s {
		if i > 0 && s[i-1] != '-' && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// Rate formats a number of operations a second.
func Rate(f float64) string {
	if f < 99.5 {
		return digits(f)
	}
	return Count(f)
}

// Bytes formats a size.
func Bytes(n int64) string {
	switch f := float64(n); {
	case n == 0:
		return "-"
	case f < 999.5*1024:
		return digits(f/1024) + " KiB"
	case f < 999.5*1024*1024:
		return digits(f/(1<<20)) + " MiB"
	default:
		return digits(f/(1<<30)) + " GiB"
	}
}

func micros(us float64) string { return Duration(time.Duration(us * float64(time.Microsecond))) }

func ratio(f float64) string {
	if f == 0 {
		return "-"
	}
	return digits(f) + "x"
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
