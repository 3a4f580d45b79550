package packages

import (
	"errors"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestNewPlan(t *testing.T) {
	want := []string{"zsh", "dpkg", "linux-image-amd64", "nginx", "gone", "nginx", "-o=x", "trap-", "glob*", "vim=1", "bash/sid",
		"wine32:i386", "zlib1g:i386", "x:../y", ":i386", "g++"}
	present := set([]string{"dpkg", "zlib1g", "zlib1g:amd64"})
	available := set([]string{"zsh", "linux-image-amd64", "nginx", "dpkg", "wine32:i386", "zlib1g:i386", "g++", "trap-", "glob*", "-o=x"})
	got, err := NewPlan(want, present, available, append(Blacklist(), "ng[!a]nx", "wine*"))
	if err != nil {
		t.Fatal(err)
	}
	expected := Plan{
		Install: []string{"g++", "zlib1g:i386", "zsh"},
		Skipped: []Skip{
			{"-o=x", NoPackageName}, {":i386", NoPackageName}, {"bash/sid", NoPackageName}, {"dpkg", AlreadyInstalled},
			{"glob*", NoPackageName}, {"gone", NotAvailable}, {"linux-image-amd64", Blacklisted}, {"nginx", Blacklisted},
			{"trap-", NoPackageName}, {"vim=1", NoPackageName}, {"wine32:i386", Blacklisted}, {"x:../y", NoPackageName},
		},
	}
	if !reflect.DeepEqual(got, expected) {
		t.Errorf("got  %+v\nwant %+v", got, expected)
	}
	if want[0] != "zsh" {
		t.Error("the argument was sorted")
	}
	if _, err := NewPlan(nil, nil, nil, []string{"["}); err != nil {
		t.Errorf("a pattern without a package: %v", err)
	}
	if _, err := NewPlan([]string{"a"}, nil, nil, []string{"["}); !errors.Is(err, path.ErrBadPattern) {
		t.Errorf("a bad pattern: %v", err)
	}
}

// The list and the answer are those of the original program's regression
// test.
func TestFormat(t *testing.T) {
	list := "# don't exist, should be skipped\nfoofoobar  \nfobarbar\n\n# already installed\ndpkg\nbase-files \n\naspell-fa \naspell-hy\n"
	names, err := ParseNames(strings.NewReader(list))
	if err != nil {
		t.Fatal(err)
	}
	plan, err := NewPlan(names, set([]string{"dpkg", "base-files"}), set([]string{"aspell-hy", "aspell-fa", "dpkg"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	const want = "# SKIPPING: fobarbar foofoobar\napt-get install --assume-yes aspell-fa aspell-hy\n"
	if got := plan.Format(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (&Plan{}).Format(); got != "" {
		t.Errorf("nothing to do is %q", got)
	}
}

func TestReasonString(t *testing.T) {
	var seen []string
	for r := Reason(0); r <= NoPackageName; r++ {
		seen = append(seen, r.String())
	}
	slices.Sort(seen)
	if len(slices.Compact(seen)) != int(NoPackageName)+1 {
		t.Errorf("reasons share words: %q", seen)
	}
}
