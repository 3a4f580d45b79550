package chain_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"tklbam/chain"
	"tklbam/chain/collection"
)

// planText writes a plan, a line a set.
func planText(p *chain.CopyPlan) string {
	var b strings.Builder
	for _, s := range p.Sets {
		fmt.Fprintf(&b, "%s %d", s.Set.End.Format("04"), len(s.Files))
		held := 0
		for _, f := range s.Files {
			if f.Held {
				held++
			}
		}
		fmt.Fprintf(&b, " held %d refused %v confirm %v: %s\n", held, s.Refused, s.Confirm, s.Reason)
	}
	return b.String()
}

func collectionOf(files map[string][]byte) *collection.Collection {
	var list []collection.File
	for name, p := range files {
		list = append(list, collection.File{Name: name, Size: int64(len(p))})
	}
	return collection.New(list, collection.Prefixes{})
}

func TestPlanCopy(t *testing.T) {
	const gpg = ".gpg"
	full, inc, inc2 := fullNames(0, 2, gpg), incNames(0, 1, 1, gpg), incNames(1, 2, 1, gpg)
	source := filled(1, full, inc, inc2)
	without := func(names ...string) map[string][]byte {
		files := maps.Clone(source)
		for _, name := range names {
			delete(files, name)
		}
		return files
	}
	longer := func(name string) map[string][]byte {
		files := maps.Clone(source)
		files[name] = append(slices.Clone(files[name]), 0)
		return files
	}
	tests := []struct {
		name     string
		from, to map[string][]byte
		mirror   bool
		want     string
	}{
		{"empty target", source, nil, false, `
00 4 held 0 refused false confirm false: the target does not have it
01 3 held 0 refused false confirm false: the target does not have it
02 3 held 0 refused false confirm false: the target does not have it`},
		{"all there", source, source, false, `
00 0 held 0 refused false confirm true: the target has it
01 0 held 0 refused false confirm true: the target has it
02 0 held 0 refused false confirm true: the target has it`},
		{"all there in a mirror", source, source, true, `
00 0 held 0 refused false confirm false: the target has it
01 0 held 0 refused false confirm false: the target has it
02 0 held 0 refused false confirm false: the target has it`},
		{"no manifest", source, without(inc2[2]), true, `
00 0 held 0 refused false confirm false: the target has it
01 0 held 0 refused false confirm false: the target has it
02 3 held 2 refused false confirm false: the target has a part of it`},
		{"lost a volume", source, without(full[0]), true, `
00 1 held 0 refused false confirm true: the target lost 1 of its files
01 0 held 0 refused false confirm false: the target has it
02 0 held 0 refused false confirm false: the target has it`},
		{"volume of another size", source, longer(inc[0]), true, `
00 0 held 0 refused false confirm false: the target has it
01 1 held 0 refused false confirm true: the target lost 1 of its files
02 0 held 0 refused false confirm false: the target has it`},
		{"manifest of another size", source, longer(full[3]), false, `
00 0 held 0 refused true confirm false: the target holds another backup of that time
01 0 held 0 refused false confirm true: the target has it
02 0 held 0 refused false confirm true: the target has it`},
		{"another full set", source, filled(2, fullNames(0, 2, ".gz")), false, `
00 0 held 0 refused true confirm false: the target holds another backup of that time
01 0 held 0 refused true confirm false: the backup it builds on can't be copied
02 0 held 0 refused true confirm false: the backup it builds on can't be copied`},
		{"goes on otherwise", source, filled(1, full, incNames(0, 3, 1, gpg)), false, `
00 0 held 0 refused false confirm true: the target has it
01 0 held 0 refused true confirm false: the target has another backup on top of the one it builds on
02 0 held 0 refused true confirm false: the backup it builds on can't be copied`},
		{"mirror goes on with what the source gave up", source, filled(1, full, incNames(0, 3, 1, gpg)), true, `
00 0 held 0 refused false confirm false: the target has it
01 3 held 0 refused false confirm false: the target does not have it
02 3 held 0 refused false confirm false: the target does not have it`},
		{"same fork on both sides", filled(1, full, inc, incNames(0, 2, 1, gpg)), filled(1, full, inc), false, `
00 0 held 0 refused false confirm true: the target has it
02 3 held 0 refused false confirm false: the target does not have it`},
		{"other chains", source, filled(2, fullNames(8, 2, gpg), incNames(8, 9, 2, gpg)), false, `
00 4 held 0 refused false confirm false: the target does not have it
01 3 held 0 refused false confirm false: the target does not have it
02 3 held 0 refused false confirm false: the target does not have it`},
		{"unfinished", without(full[3], inc[2], inc2[2]), nil, false, ``},
		{"unfinished in a mirror", without(inc2[2]), nil, true, `
00 4 held 0 refused false confirm false: the target does not have it
01 3 held 0 refused false confirm false: the target does not have it
02 2 held 0 refused false confirm false: the target does not have it`},
		{"unfinished, and complete in the mirror", without(inc2[2]), source, true, `
00 0 held 0 refused false confirm false: the target has it
01 0 held 0 refused false confirm false: the target has it
02 0 held 0 refused false confirm false: the target has it complete`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := planText(chain.PlanCopy(collectionOf(test.from), collectionOf(test.to), test.mirror))
			if want := strings.TrimPrefix(test.want, "\n"); strings.TrimSuffix(got, "\n") != want {
				t.Errorf("plan:\n%swant:\n%s", got, want)
			}
		})
	}
}
