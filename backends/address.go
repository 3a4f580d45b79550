package backends

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// An Address says where a target is. It is plain data: which of its parts a
// scheme needs is for the driver to check.
//
// The text forms are those of Duplicity 0.8, percent codes decoded:
//
//	file:///absolute   file://relative
//	scheme://[user[:password]@]host[:port]/relative   …//absolute
//	rsync://[user[:password]@]host[:port]::/module/path
//	s3+http://container/path   swift://…   cf+http://…
//	rclone:remote:path   rclone://remote:/path
//
// So the slash after the host is no part of the path, and whether "relative"
// means anything (a login directory, a bucket's name) is the scheme's matter.
// Where Duplicity cuts an address off at a "?" or "#" ParseAddress refuses it:
// the files would go elsewhere than the text says.
type Address struct {
	Scheme   string // lower case
	User     string
	Password Secret
	Host     string // lower-case name or IP address without brackets; "" where the form has none
	Port     int    // 0 if the address names none
	Daemon   bool   // rsync's "::" form: the path starts with a module of a daemon
	Path     string // "/x" for an absolute path, "x" otherwise; may be empty where there is a host; rclone's "remote:x"
}

// ParseAddress parses an address of any scheme; one it does not know is taken
// to have the form with a host. Errors show the text without what may be a
// user and password.
func ParseAddress(text string) (Address, error) {
	a, err := parseAddress(text)
	if err != nil {
		return Address{}, fmt.Errorf("parse address %q: %w", redactAddress(text), err)
	}
	return a, nil
}

func parseAddress(text string) (Address, error) {
	if strings.ContainsAny(text, "?#") {
		return Address{}, errors.New(`a literal "?" is written %3F, "#" %23`)
	}
	scheme, rest, err := cutScheme(text)
	if err != nil {
		return Address{}, err
	}
	a := Address{Scheme: scheme}
	switch {
	case scheme == "file":
		err = a.parsePath(rest)
	case scheme == "rclone":
		err = a.parseRemote(rest)
	case a.isContainer():
		err = a.parseContainer(rest)
	default:
		err = a.parseHosted(rest)
	}
	return a, err
}

// isContainer reports whether the scheme's form has no host: the service is
// known from elsewhere, and the path starts with the name of a container.
func (a Address) isContainer() bool {
	return a.Scheme == "s3+http" || a.Scheme == "swift" || a.Scheme == "cf+http"
}

// cutScheme splits a text after "://"; "file:/x" passes too, as with Duplicity.
// What follows "rclone:" stays as it is.
func cutScheme(text string) (scheme, rest string, err error) {
	if strings.HasPrefix(text, "/") {
		return "", "", fmt.Errorf("it has no scheme: for a directory write %s", Address{Scheme: "file", Path: text})
	}
	scheme, rest, found := strings.Cut(text, ":")
	if !found || !isScheme(scheme) {
		return "", "", errors.New("it has no scheme, such as file:// or sftp://")
	}
	scheme = strings.ToLower(scheme)
	if scheme == "rclone" {
		return scheme, rest, nil
	}
	path, found := strings.CutPrefix(rest, "//")
	if !found && (scheme != "file" || !strings.HasPrefix(rest, "/")) {
		return "", "", errors.New(`"//" does not follow the scheme`)
	}
	return scheme, path, nil
}

// isScheme reports whether s is a scheme in the sense of RFC 3986.
func isScheme(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && (i == 0 || !isDigit(c) && !strings.ContainsRune("+-.", rune(c))) {
			return false
		}
	}
	return s != ""
}

func (a *Address) parsePath(text string) (err error) {
	if text == "" {
		return errors.New("it has no path")
	}
	a.Path, err = decode(text)
	return err
}

// parseContainer takes "container/path"; more slashes before it count for
// nothing, as with Duplicity.
func (a *Address) parseContainer(text string) error {
	text = strings.TrimLeft(text, "/")
	authority, _, _ := strings.Cut(text, "/")
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		if err := a.parseUser(authority[:i]); err != nil {
			return err
		}
		text = text[i+1:]
	}
	if err := a.parsePath(text); err != nil {
		return err
	}
	if strings.HasPrefix(a.Path, "/") {
		return errors.New("its container has no name")
	}
	return nil
}

// parseRemote takes rclone's own notation, "remote:path", and Duplicity's, with
// two slashes before it and one after the colon that is no part of the path:
// "//remote:/x" is "remote:x", "//remote://x" is "remote:/x". Remotes without
// a name (":type,option=value:") are refused: their options may be secrets.
func (a *Address) parseRemote(text string) error {
	text, isURL := strings.CutPrefix(text, "//")
	if err := a.parsePath(text); err != nil {
		return err
	}
	remote, path, found := strings.Cut(a.Path, ":")
	if !found || !isRemote(remote) {
		return errors.New("it names no remote of rclone's configuration, as in rclone:remote:path")
	}
	if isURL {
		path = strings.TrimPrefix(path, "/")
	}
	a.Path = remote + ":" + path
	return nil
}

// isRemote keeps to the names that rclone takes.
func isRemote(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && !isDigit(c) && c < 0x80 && !strings.ContainsRune("_-.+@ ", rune(c)) {
			return false
		}
	}
	return s != "" && s[0] != '-' && s[0] != ' '
}

func (a *Address) parseHosted(text string) error {
	authority, path, _ := strings.Cut(text, "/")
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		if err := a.parseUser(authority[:i]); err != nil {
			return err
		}
		authority = authority[i+1:]
	}
	port, err := a.parseHost(authority)
	if err != nil {
		return err
	}
	if a.Scheme == "rsync" {
		port, path = a.cutModule(port, path)
	}
	if err := a.parsePort(port); err != nil {
		return err
	}
	if a.Path, err = decode(path); err != nil {
		return err
	}
	if a.Daemon && (path == "" || strings.HasPrefix(a.Path, "/")) {
		return errors.New(`no module follows "::"`)
	}
	return nil
}

func (a *Address) parseUser(text string) (err error) {
	user, password, _ := strings.Cut(text, ":")
	if a.User, err = decode(user); err != nil {
		return err
	}
	if strings.HasPrefix(a.User, "-") {
		return errors.New("its user starts with a dash, as options of programs do")
	}
	password, err = decode(password)
	a.Password = NewSecret(password)
	return err
}

// parseHost takes the host from the start of a text and returns the rest.
func (a *Address) parseHost(text string) (rest string, err error) {
	if strings.HasPrefix(text, "[") {
		return a.parseIPv6(text)
	}
	host, rest := text, ""
	if i := strings.IndexByte(text, ':'); i >= 0 {
		host, rest = text[:i], text[i:]
	}
	if !isHostName(host) {
		return "", errors.New("it has no valid host (in a user or password, / : @ ? # % are written as percent codes)")
	}
	a.Host = strings.ToLower(host)
	return rest, nil
}

// parseIPv6 takes "[address]", a zone written as in RFC 6874 ("%25eth0").
func (a *Address) parseIPv6(text string) (rest string, err error) {
	host, rest, found := strings.Cut(text[1:], "]")
	if !found {
		return "", errors.New(`no "]" ends its IPv6 address`)
	}
	host, err = decode(host)
	if err != nil {
		return "", err
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.Is6() || ip.Zone() != "" && !isHostName(ip.Zone()) {
		return "", errors.New("its brackets hold no IPv6 address")
	}
	a.Host = ip.String()
	return rest, nil
}

// isHostName keeps to what resolvers take; a leading dash would be an option
// to a program that is given the name.
func isHostName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && !isDigit(c) && !strings.ContainsRune(".-_", rune(c)) {
			return false
		}
	}
	return s != "" && s[0] != '-'
}

// cutModule takes the "::" form apart: port is what follows the host, path
// what follows the first slash. A module may be written on either side of it.
func (a *Address) cutModule(port, path string) (string, string) {
	before, module, found := strings.Cut(port, "::")
	if !found {
		return port, path
	}
	a.Daemon = true
	if module != "" && path != "" {
		module += "/"
	}
	return before, strings.TrimLeft(module+path, "/")
}

// parsePort takes "", ":" or ":number". The text is not quoted in the error:
// when a password holds a slash it is the password's beginning.
func (a *Address) parsePort(text string) error {
	if text == "" || text == ":" {
		return nil
	}
	number, found := strings.CutPrefix(text, ":")
	port, err := strconv.ParseUint(number, 10, 16)
	if !found || err != nil || port == 0 {
		return errors.New("its port is no number from 1 to 65535 (in a user or password, / : @ ? # % are written as percent codes)")
	}
	a.Port = int(port)
	return nil
}

// String returns the address without the password, in ASCII. ParseAddress
// gives back what it holds otherwise.
func (a Address) String() string {
	if a.Scheme == "rclone" {
		remote, path, _ := strings.Cut(a.Path, ":")
		return "rclone://" + encode(remote, "") + ":/" + encode(path, "/:")
	}
	var b strings.Builder
	b.WriteString(a.Scheme + "://")
	if a.User != "" {
		b.WriteString(encode(a.User, "") + "@")
	}
	if strings.Contains(a.Host, ":") {
		b.WriteString("[" + strings.Replace(a.Host, "%", "%25", 1) + "]")
	} else {
		b.WriteString(a.Host)
	}
	if a.Port != 0 {
		b.WriteString(":" + strconv.Itoa(a.Port))
	}
	if a.Daemon {
		b.WriteString("::")
	}
	if a.Host != "" && a.Path != "" {
		b.WriteString("/")
	}
	b.WriteString(encode(a.Path, "/:"))
	return b.String()
}

// encode writes percent codes for all bytes but RFC 3986's unreserved ones
// and its sub-delims, and those in keep.
func encode(s, keep string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; isLetter(c) || isDigit(c) || strings.IndexByte("-._~!$&'()*+,;="+keep, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// decode resolves percent codes. What is no code stands for itself, as with
// Duplicity; control characters, which no protocol carries unharmed, are
// refused.
func decode(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' && i+2 < len(s) {
			if code, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				c = byte(code)
				i += 2
			}
		}
		if isControl(c) {
			return "", errors.New("it holds a control character")
		}
		b.WriteByte(c)
	}
	return b.String(), nil
}

// redactAddress hides whatever may hold a password in a text that could not
// be parsed: all up to its last "@", and the options of a remote of rclone.
func redactAddress(text string) string {
	if scheme, rest, _ := strings.Cut(text, ":"); strings.EqualFold(scheme, "rclone") && strings.Contains(rest, "=") {
		return scheme + ":" + redacted
	}
	i := strings.LastIndexByte(text, '@')
	if i < 0 {
		return text
	}
	scheme := ""
	if j := strings.Index(text[:i], "://"); j >= 0 && isScheme(text[:j]) {
		scheme = text[:j+3]
	}
	return scheme + redacted + text[i:]
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
