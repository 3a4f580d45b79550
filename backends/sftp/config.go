package sftp

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxIncludes is how deep Include lines may lead, as in OpenSSH.
const maxIncludes = 16

// settings are what ssh_config files say about one host: for each keyword, in
// lower case, the arguments of the first line that applies. Of the keywords in
// repeated all lines that apply count.
type settings map[string][]string

// repeated are the keywords whose lines add up.
var repeated = []string{"identityfile", "certificatefile"}

// get returns the first argument of a keyword, "" if it is not set.
func (s settings) get(keyword string) string {
	if args := s[keyword]; len(args) > 0 {
		return args[0]
	}
	return ""
}

// configQuery is what the conditions of a configuration are about.
type configQuery struct {
	host      string // as the address or a ProxyJump line has it, in lower case
	user      string // "" if neither says
	localUser string
}

// configParser reads ssh_config(5) files. It knows Host with patterns and
// negation, Include, and Match with all, host, originalhost, user and
// localuser; a Match line with any other condition (exec, canonical, final,
// …) applies to no host. The driver uses the keywords HostName, Port, User,
// IdentityFile, CertificateFile, IdentitiesOnly, IdentityAgent, ProxyJump,
// UserKnownHostsFile, GlobalKnownHostsFile, HostKeyAlias,
// StrictHostKeyChecking (accept-new, and else always yes), AddressFamily,
// ConnectTimeout, ServerAliveInterval and ServerAliveCountMax, and refuses
// ProxyCommand; the others mean nothing to it.
type configParser struct {
	query configQuery
	home  string
	found settings
}

// parseConfig returns what the files of user and system say, the user's first.
func parseConfig(env Environment, query configQuery) (settings, error) {
	p := configParser{query: query, home: env.HomeDir, found: make(settings)}
	if env.HomeDir != "" {
		dir := filepath.Join(env.HomeDir, ".ssh")
		if err := p.file(filepath.Join(dir, "config"), dir, true, 0); err != nil {
			return nil, err
		}
	}
	if env.SystemDir != "" {
		if err := p.file(filepath.Join(env.SystemDir, "ssh_config"), env.SystemDir, true, 0); err != nil {
			return nil, err
		}
	}
	return p.found, nil
}

// file reads a file, which may be absent. Relative names in Include lines
// start in dir; active says whether the line that led here applies.
func (p *configParser) file(path, dir string, active bool, depth int) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read ssh configuration: %w", err)
	}
	applies := active
	for i, line := range strings.Split(string(text), "\n") {
		words, err := splitLine(line)
		if err == nil && len(words) > 1 {
			applies, err = p.line(words, dir, active, applies, depth)
		}
		if err != nil {
			return fmt.Errorf("read %q line %d: %w", path, i+1, err)
		}
	}
	return nil
}

// line takes one line, and returns whether the following ones apply.
func (p *configParser) line(words []string, dir string, active, applies bool, depth int) (bool, error) {
	keyword, args := strings.ToLower(words[0]), words[1:]
	switch keyword {
	case "host":
		return active && matchPatterns(args, p.query.host), nil
	case "match":
		return active && p.match(args), nil
	case "include":
		return applies, p.include(args, dir, applies, depth)
	}
	if applies {
		p.set(keyword, args)
	}
	return applies, nil
}

func (p *configParser) set(keyword string, args []string) {
	if slices.Contains(repeated, keyword) {
		p.found[keyword] = append(p.found[keyword], args...)
	} else if _, set := p.found[keyword]; !set {
		p.found[keyword] = args
	}
}

func (p *configParser) include(args []string, dir string, active bool, depth int) error {
	if depth >= maxIncludes {
		return errors.New("too many files include others")
	}
	for _, pattern := range args {
		pattern = expandHome(pattern, p.home)
		if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(dir, pattern)
		}
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return fmt.Errorf("include %q: %w", pattern, err)
		}
		for _, path := range paths {
			if err := p.file(path, dir, active, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// match evaluates the conditions of a Match line: all of them must hold.
func (p *configParser) match(args []string) bool {
	for len(args) > 0 {
		keyword, negated := strings.CutPrefix(strings.ToLower(args[0]), "!")
		args = args[1:]
		if keyword == "all" {
			if negated {
				return false
			}
			continue
		}
		value, known := p.matchValue(keyword)
		if !known || len(args) == 0 {
			return false
		}
		if matchPatterns(strings.Split(args[0], ","), value) == negated {
			return false
		}
		args = args[1:]
	}
	return true
}

// matchValue returns what a condition of Match is about.
func (p *configParser) matchValue(keyword string) (value string, known bool) {
	switch keyword {
	case "originalhost":
		return p.query.host, true
	case "host":
		if name := p.found.get("hostname"); name != "" {
			return expandTokens(name, map[byte]string{'h': p.query.host}), true
		}
		return p.query.host, true
	case "user":
		switch {
		case p.query.user != "":
			return p.query.user, true
		case p.found.get("user") != "":
			return p.found.get("user"), true
		}
		return p.query.localUser, true
	case "localuser":
		return p.query.localUser, true
	}
	return "", false
}

// splitLine splits a line into words, at blanks and an equals sign after the
// first; quotes hold words together. A comment is nothing.
func splitLine(line string) ([]string, error) {
	line = strings.TrimSpace(line)
	if strings.HasPrefix(line, "#") {
		return nil, nil
	}
	end := strings.IndexAny(line, " \t=")
	if end < 0 {
		end = len(line)
	}
	words := []string{line[:end]}
	rest := strings.TrimLeft(line[end:], " \t")
	rest = strings.TrimLeft(strings.TrimPrefix(rest, "="), " \t")
	for rest != "" && rest[0] != '#' {
		word, after, err := cutWord(rest)
		if err != nil {
			return nil, err
		}
		words = append(words, word)
		rest = strings.TrimLeft(after, " \t")
	}
	return words, nil
}

// cutWord takes the first word off a text that starts with one.
func cutWord(text string) (word, rest string, err error) {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == '\\' && i+1 < len(text) && strings.IndexByte(`"'\ `, text[i+1]) >= 0:
			i++
			b.WriteByte(text[i])
		case quote == 0 && (c == ' ' || c == '\t'):
			return b.String(), text[i:], nil
		default:
			b.WriteByte(c)
		}
	}
	if quote != 0 {
		return "", "", errors.New("no quote ends what one begins")
	}
	return b.String(), "", nil
}

// matchPatterns reports whether one of the patterns matches and none that
// starts with "!" does. Host names have no case.
func matchPatterns(patterns []string, name string) bool {
	matched := false
	for _, pattern := range patterns {
		pattern, negated := strings.CutPrefix(pattern, "!")
		if matchPattern(strings.ToLower(pattern), strings.ToLower(name)) {
			if negated {
				return false
			}
			matched = true
		}
	}
	return matched
}

// matchPattern matches a pattern in which "*" is any text and "?" a byte.
func matchPattern(pattern, name string) bool {
	star, from := -1, 0 // the last star, and where what it stands for ends
	i, j := 0, 0
	for j < len(name) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, from = i, j
			i++
		case i < len(pattern) && (pattern[i] == '?' || pattern[i] == name[j]):
			i++
			j++
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[i:], "*") == ""
}

// expandTokens replaces percent codes; those that are not in the table stay.
func expandTokens(text string, tokens map[byte]string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && i+1 < len(text) {
			value, known := tokens[text[i+1]]
			if text[i+1] == '%' {
				value, known = "%", true
			}
			if known {
				b.WriteString(value)
				i++
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// expandHome replaces "~" at the beginning of a path.
func expandHome(path, home string) string {
	if rest, found := strings.CutPrefix(path, "~/"); found && home != "" {
		return filepath.Join(home, rest)
	}
	return path
}
