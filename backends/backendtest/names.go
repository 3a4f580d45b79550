package backendtest

import "strings"

// oddNames are names that CheckName accepts and that a driver may get wrong:
// in URLs, listings, shells, globs, command lines and quoted strings.
func oddNames() []string {
	return []string{
		"duplicity-full.20200101T000000Z.vol1.difftar.zst.age",
		"duplicity-inc.20200101T000000Z.to.20200102T000000Z.manifest",
		"two words  and more",
		"100%", "a%20b", "%2e%2e", "a+b", "a&b=c", "a?b", "a#b", "a;b", "a:b", "a@b", "a,b",
		"a*b", "[ab]", "{a,b}", "~", "~root", "$HOME", "`id`", "a|b", "a<b>c", "a!b",
		`a"b`, "a'b", `a\b`, "(a)",
		"-rf", "--", "-", "a..b", "a.", "con", "file.tmp",
		"grüße-日本-🜚", "\u00e9", "Case", "case",
		strings.Repeat("n", 255),
	}
}

// invalidNames are names that every method refuses.
func invalidNames() []string {
	return []string{
		"", ".", "..", "/", "a/b", "/etc/passwd", "../a", "a/", "./a",
		"nul\x00byte", "line\nbreak", "return\r", "tab\t", "del\x7f", "\xff\xfe",
		".hidden", ".tklbam-x.tmp",
		strings.Repeat("n", 256), strings.Repeat("n", 100_000),
	}
}
