package backends_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"tklbam/backends"
)

func TestCheckName(t *testing.T) {
	tests := []struct {
		name  string
		valid bool
	}{
		{"duplicity-full.20200101T000000Z.vol1.difftar.zst.age", true},
		{"a", true},
		{"a b", true},
		{"a..", true},
		{"grüße", true},
		{`back\slash`, true},
		{strings.Repeat("n", backends.MaxName), true},
		{strings.Repeat("n", backends.MaxName+1), false},
		{"", false},
		{".", false},
		{"..", false},
		{".hidden", false},
		{"a/b", false},
		{"/", false},
		{"a\x00", false},
		{"a\n", false},
		{"a\x7f", false},
		{"\xff", false},
	}
	for _, test := range tests {
		err := backends.CheckName(test.name)
		if test.valid != (err == nil) || test.valid != backends.ValidName(test.name) {
			t.Errorf("CheckName(%.20q): %v", test.name, err)
		}
		if err != nil && (!errors.Is(err, fs.ErrInvalid) || len(err.Error()) > 200) {
			t.Errorf("CheckName(%.20q): error is %q, want a short fs.ErrInvalid", test.name, err)
		}
	}
}
