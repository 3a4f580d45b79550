package backends_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"tklbam/backends"
)

const hidden = "correct horse"

func TestSecretPrintsRedacted(t *testing.T) {
	s := backends.NewSecret(hidden)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%20s", "%U"} {
		if got := fmt.Sprintf(verb, s); got != "[redacted]" {
			t.Errorf("%s prints %q", verb, got)
		}
		if got := fmt.Sprintf(verb, &s); got != "[redacted]" {
			t.Errorf("%s of a pointer prints %q", verb, got)
		}
	}
	if s.String() != "[redacted]" || s.Reveal() != hidden {
		t.Errorf("String is %q, Reveal %q", s.String(), s.Reveal())
	}
}

// TestSecretInsideOthers prints a secret where its methods are not asked, in
// unexported fields, and where they are.
func TestSecretInsideOthers(t *testing.T) {
	type driver struct{ address backends.Address }
	a, err := backends.ParseAddress("ftp://user:correct%20horse@host/dir")
	if err != nil || a.Password.Reveal() != hidden {
		t.Fatalf("password is %q, %v", a.Password.Reveal(), err)
	}
	values := []any{
		a, &a, driver{a}, &driver{a}, []backends.Secret{a.Password},
		map[string]backends.Address{"a": a}, struct{ s backends.Secret }{a.Password},
	}
	for _, v := range values {
		var printed strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&printed, verb+"\n", v)
		}
		encoded, err := json.Marshal(v)
		if err != nil {
			t.Errorf("encode %T: %v", v, err)
		}
		printed.Write(encoded)
		slog.New(slog.NewTextHandler(&printed, nil)).Info("text", "value", v)
		slog.New(slog.NewJSONHandler(&printed, nil)).Info("json", "value", v)
		for _, leak := range []string{hidden, fmt.Sprintf("%x", hidden), fmt.Sprintf("%X", hidden), `correct%20horse`} {
			if strings.Contains(printed.String(), leak) {
				t.Errorf("%T shows the secret as %q:\n%s", v, leak, &printed)
			}
		}
	}
}

func TestSecretJSON(t *testing.T) {
	got, err := json.Marshal(map[string]backends.Secret{"none": {}, "some": backends.NewSecret(hidden)})
	if want := `{"none":"","some":"[redacted]"}`; err != nil || string(got) != want {
		t.Errorf("JSON is %s, %v, want %s", got, err, want)
	}
}

func TestNoSecret(t *testing.T) {
	s := backends.NewSecret("")
	if s != (backends.Secret{}) || s.Reveal() != "" || fmt.Sprint(s) != "" {
		t.Errorf("the secret of an empty text reveals %q and prints %q", s.Reveal(), fmt.Sprint(s))
	}
}
