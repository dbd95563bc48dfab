package workload

import (
	"fmt"
	"strconv"
	"unsafe"

	"trihold/repo"
)

var ycsb = []Workload{
	{Name: "ycsb-a", Mix: []Share{{Read, 50}, {Update, 50}}, open: openYCSB},
	{Name: "ycsb-b", Mix: []Share{{Read, 95}, {Update, 5}}, open: openYCSB},
	{Name: "ycsb-c", Mix: []Share{{Read, 100}}, open: openYCSB},
	{Name: "ycsb-d", Mix: []Share{{Read, 95}, {Insert, 5}}, Keys: Latest, open: openYCSB},
	{Name: "ycsb-e", Mix: []Share{{Scan, 95}, {Insert, 5}}, MaxScan: 100, open: openYCSB},
	{Name: "ycsb-f", Mix: []Share{{Read, 50}, {RMW, 50}}, open: openYCSB},
}

const (
	fields   = 10
	fieldLen = 100
)

// A User is a row of YCSB's table.
type User struct {
	Key    string `db:"ycsb_key"`
	Field0 string `db:"field0"`
	Field1 string `db:"field1"`
	Field2 string `db:"field2"`
	Field3 string `db:"field3"`
	Field4 string `db:"field4"`
	Field5 string `db:"field5"`
	Field6 string `db:"field6"`
	Field7 string `db:"field7"`
	Field8 string `db:"field8"`
	Field9 string `db:"field9"`
}

// users are the rows of YCSB. Their text is random, but a function of the seed,
// the key and the stamp, and begins with both.
type users struct{ seed uint64 }

func openYCSB(w Workload, p Params) (Session, error) {
	table := repo.NewTable("usertable", func(u *User) *string { return &u.Key })
	return newKeyed[User](w, p, table, nil, users{p.Seed}, repo.NewSchema(table)), nil
}

func (users) key(n int64) string   { return "user" + strconv.FormatUint(scatter(n), 10) }
func (users) keyOf(u *User) string { return u.Key }

func (s users) make(n int64, st Stamp) (User, error) {
	text := make([]byte, 0, fields*fieldLen)
	text = appendStamp(text, n, st)
	text = appendText(text, fields*fieldLen, s.seed, n, st)
	all := unsafe.String(unsafe.SliceData(text), len(text)) // text is not used again
	field := func(i int) string { return all[i*fieldLen : (i+1)*fieldLen] }
	return User{
		Key: s.key(n), Field0: field(0), Field1: field(1), Field2: field(2), Field3: field(3), Field4: field(4),
		Field5: field(5), Field6: field(6), Field7: field(7), Field8: field(8), Field9: field(9),
	}, nil
}

func (users) stamp(u *User) (int64, Stamp, error) { return cutStamp(u.Field0) }

// A Stamp says which write made a row.
type Stamp struct {
	// Write is the number of the write in its session; 0 is the load.
	Write uint64 `json:"write"`
	// Count is the number of read-modify-writes that the row has gone through.
	Count uint32 `json:"count"`
}

// stampLen is the length of a stamp as text: key, write and count in hex.
const stampLen = 12 + 16 + 8

func appendStamp(dst []byte, n int64, s Stamp) []byte {
	dst = appendHex(dst, uint64(n), 12)
	dst = appendHex(dst, s.Write, 16)
	return appendHex(dst, uint64(s.Count), 8)
}

func appendHex(dst []byte, v uint64, digits int) []byte {
	for shift := 4 * (digits - 1); shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[v>>shift&15])
	}
	return dst
}

func cutStamp(text string) (n int64, s Stamp, err error) {
	if len(text) < stampLen {
		return 0, s, fmt.Errorf("its text is %d bytes long", len(text))
	}
	number := func(from, to int) uint64 {
		v, e := strconv.ParseUint(text[from:to], 16, 64)
		if e != nil {
			err = fmt.Errorf("%q is not the stamp of a write", text[:stampLen])
		}
		return v
	}
	n = int64(number(0, 12))
	s = Stamp{Write: number(12, 28), Count: uint32(number(28, 36))}
	return n, s, err
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// appendText appends random text until dst, which has the room, holds size bytes.
func appendText(dst []byte, size int, seed uint64, n int64, s Stamp) []byte {
	state := seed ^ uint64(n)*0x9E3779B97F4A7C15 ^ s.Write*0xD1B54A32D192ED03
	text := dst[len(dst):size]
	for len(text) > 0 {
		bits := splitmix(&state)
		part := text[:min(10, len(text))]
		for i := range part {
			part[i] = alphabet[bits&63]
			bits >>= 6
		}
		text = text[len(part):]
	}
	return dst[:size]
}

// splitmix is SplitMix64 (Steele et al., OOPSLA 2014).
func splitmix(state *uint64) uint64 {
	*state += 0x9E3779B97F4A7C15
	z := *state
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}
