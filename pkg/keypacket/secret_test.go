package keypacket

import (
	"crypto/rand"
	"testing"
)

func TestGenerated(t *testing.T) {
	secret, err := NewSecret(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if !Generated(secret) {
		t.Errorf("%q is not taken for a generated secret", secret)
	}
	for _, s := range []string{"", "correct horse battery staple", "correcthorsebatterystaple12!", string(secret[1:]), string(secret) + "A"} {
		if Generated([]byte(s)) {
			t.Errorf("%q is taken for a generated secret", s)
		}
	}
}
