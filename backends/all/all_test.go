package all_test

import (
	"strings"
	"testing"

	"tklbam/backends/all"
)

func TestSchemesAreUnique(t *testing.T) {
	seen := make(map[string]bool)
	for _, d := range all.Drivers(all.Environment{}) {
		if d.Open == nil || len(d.Schemes) == 0 {
			t.Errorf("the driver of %q cannot be used", d.Schemes)
		}
		for _, s := range d.Schemes {
			if seen[s] || s != strings.ToLower(s) {
				t.Errorf("scheme %q is registered twice or not in lower case", s)
			}
			seen[s] = true
		}
	}
}
