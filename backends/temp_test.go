package backends

import "testing"

func TestTempNames(t *testing.T) {
	name := TempName()
	if !IsTemp(name) || ValidName(name) || name == TempName() {
		t.Errorf("%q", name)
	}
	for _, other := range []string{"", "x", name + "x", name[1:], name + ".old", name[:len(name)-5] + ".tmp", ".tklbam-.tmp"} {
		if IsTemp(other) {
			t.Errorf("%q is taken for temporary", other)
		}
	}
}
