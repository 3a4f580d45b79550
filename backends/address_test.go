package backends_test

import (
	"strings"
	"testing"

	"tklbam/backends"
)

// parts is an address with its password in the open.
type parts struct {
	scheme, user, password, host string
	port                         int
	daemon                       bool
	path                         string
}

func partsOf(a backends.Address) parts {
	return parts{a.Scheme, a.User, a.Password.Reveal(), a.Host, a.Port, a.Daemon, a.Path}
}

// addresses are all the forms, with the canonical text of each.
var addresses = []struct {
	text string
	want parts
	str  string
}{
	{"file:///mnt/backup", parts{scheme: "file", path: "/mnt/backup"}, "file:///mnt/backup"},
	{"file:///", parts{scheme: "file", path: "/"}, "file:///"},
	{"file://relative/dir", parts{scheme: "file", path: "relative/dir"}, "file://relative/dir"},
	{"file:/mnt/backup", parts{scheme: "file", path: "/mnt/backup"}, "file:///mnt/backup"},
	{"FILE:///mnt/Backup", parts{scheme: "file", path: "/mnt/Backup"}, "file:///mnt/Backup"},
	{"file:///a%20b c%3F%23/%C3%BCü", parts{scheme: "file", path: "/a b c?#/üü"}, "file:///a%20b%20c%3F%23/%C3%BC%C3%BC"},
	{"file:///100%/%zz/%4", parts{scheme: "file", path: "/100%/%zz/%4"}, "file:///100%25/%25zz/%254"},
	{"file:///a+b;c=d&e", parts{scheme: "file", path: "/a+b;c=d&e"}, "file:///a+b;c=d&e"},

	{"rsync://u@h:22//absolute/path", parts{scheme: "rsync", user: "u", host: "h", port: 22, path: "/absolute/path"}, "rsync://u@h:22//absolute/path"},
	{"rsync://h/relative/path", parts{scheme: "rsync", host: "h", path: "relative/path"}, "rsync://h/relative/path"},
	{"rsync://h:/relative", parts{scheme: "rsync", host: "h", path: "relative"}, "rsync://h/relative"},
	{"rsync://h://absolute", parts{scheme: "rsync", host: "h", path: "/absolute"}, "rsync://h//absolute"},
	{"rsync://u:p@h:873::/module/path", parts{"rsync", "u", "p", "h", 873, true, "module/path"}, "rsync://u@h:873::/module/path"},
	{"rsync://h::module/path", parts{scheme: "rsync", host: "h", daemon: true, path: "module/path"}, "rsync://h::/module/path"},
	{"rsync://h::module", parts{scheme: "rsync", host: "h", daemon: true, path: "module"}, "rsync://h::/module"},
	{"rsync://[::1]:873::module/x", parts{scheme: "rsync", host: "::1", port: 873, daemon: true, path: "module/x"}, "rsync://[::1]:873::/module/x"},

	{"s3://s3.amazonaws.com/bucket/prefix", parts{scheme: "s3", host: "s3.amazonaws.com", path: "bucket/prefix"}, "s3://s3.amazonaws.com/bucket/prefix"},
	{"s3://key:secret@minio.example:9000/bucket", parts{"s3", "key", "secret", "minio.example", 9000, false, "bucket"}, "s3://key@minio.example:9000/bucket"},
	{"s3+http://Bucket_1.x/prefix", parts{scheme: "s3+http", path: "Bucket_1.x/prefix"}, "s3+http://Bucket_1.x/prefix"},
	{"s3+http:///bucket", parts{scheme: "s3+http", path: "bucket"}, "s3+http://bucket"},
	{"s3+http://key:secret@bucket/a@b", parts{scheme: "s3+http", user: "key", password: "secret", path: "bucket/a@b"}, "s3+http://key@bucket/a%40b"},
	{"swift://container/a/prefix", parts{scheme: "swift", path: "container/a/prefix"}, "swift://container/a/prefix"},
	{"cf+http://container", parts{scheme: "cf+http", path: "container"}, "cf+http://container"},

	{"rclone:remote:path/x", parts{scheme: "rclone", path: "remote:path/x"}, "rclone://remote:/path/x"},
	{"rclone:remote:/absolute", parts{scheme: "rclone", path: "remote:/absolute"}, "rclone://remote://absolute"},
	{"rclone:my remote:", parts{scheme: "rclone", path: "my remote:"}, "rclone://my%20remote:/"},
	{"rclone://Remote_1:path", parts{scheme: "rclone", path: "Remote_1:path"}, "rclone://Remote_1:/path"},
	{"rclone://remote:/a%20b", parts{scheme: "rclone", path: "remote:a b"}, "rclone://remote:/a%20b"},
	{"rclone://remote://absolute", parts{scheme: "rclone", path: "remote:/absolute"}, "rclone://remote://absolute"},
	{"rclone://remote:/c:/x", parts{scheme: "rclone", path: "remote:c:/x"}, "rclone://remote:/c:/x"},
	{"rclone://remote:c:/x", parts{scheme: "rclone", path: "remote:c:/x"}, "rclone://remote:/c:/x"},
	{"rclone:r@x:a@b", parts{scheme: "rclone", path: "r@x:a@b"}, "rclone://r%40x:/a%40b"},

	{"ftp://u%40x:p%3Aw%2F@Host.Example:2121/dir", parts{"ftp", "u@x", "p:w/", "host.example", 2121, false, "dir"}, "ftp://u%40x@host.example:2121/dir"},
	{"ftps://h", parts{scheme: "ftps", host: "h"}, "ftps://h"},
	{"ftps://h/", parts{scheme: "ftps", host: "h"}, "ftps://h"},
	{"ftp://u:@h/x", parts{scheme: "ftp", user: "u", host: "h", path: "x"}, "ftp://u@h/x"},
	{"ftp://:p@h/x", parts{scheme: "ftp", password: "p", host: "h", path: "x"}, "ftp://h/x"},
	{"ftp://[2001:DB8::1]:21/x", parts{scheme: "ftp", host: "2001:db8::1", port: 21, path: "x"}, "ftp://[2001:db8::1]:21/x"},
	{"scp://u@h//abs", parts{scheme: "scp", user: "u", host: "h", path: "/abs"}, "scp://u@h//abs"},
	{"ssh://h/rel", parts{scheme: "ssh", host: "h", path: "rel"}, "ssh://h/rel"},
	{"sftp://u:pa@ss@h/x", parts{scheme: "sftp", user: "u", password: "pa@ss", host: "h", path: "x"}, "sftp://u@h/x"},
	{"sftp://[fe80::1%25eth0]/x", parts{scheme: "sftp", host: "fe80::1%eth0", path: "x"}, "sftp://[fe80::1%25eth0]/x"},
	{"webdav://h/a%2Fb", parts{scheme: "webdav", host: "h", path: "a/b"}, "webdav://h/a/b"},
	{"webdavs://u@h:443/a/", parts{scheme: "webdavs", user: "u", host: "h", port: 443, path: "a/"}, "webdavs://u@h:443/a/"},
	{"imap://u:p@h", parts{scheme: "imap", user: "u", password: "p", host: "h"}, "imap://u@h"},
	{"imaps://u%40mail.example:p@h:993/from_prefix", parts{"imaps", "u@mail.example", "p", "h", 993, false, "from_prefix"}, "imaps://u%40mail.example@h:993/from_prefix"},
}

func TestParseAddress(t *testing.T) {
	for _, test := range addresses {
		a, err := backends.ParseAddress(test.text)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if got := partsOf(a); got != test.want {
			t.Errorf("%s is %+v, want %+v", test.text, got, test.want)
		}
		if got := a.String(); got != test.str {
			t.Errorf("%s is written %s, want %s", test.text, got, test.str)
		}
	}
}

func TestParseAddressErrors(t *testing.T) {
	tests := []struct{ text, want string }{
		{"/mnt/backup", "write file:///mnt/backup"},
		{"/mnt/my backup", "write file:///mnt/my%20backup"},
		{"backup", "no scheme, such as file://"},
		{"", "no scheme"},
		{"://host", "no scheme"},
		{"1x://host", "no scheme"},
		{"a_b://host", "no scheme"},
		{"file:relative", `"//" does not follow`},
		{"sftp:/host", `"//" does not follow`},
		{"file://", "no path"},
		{"file:///a?b", "%3F"},
		{"file:///a#b", "%23"},
		{"file:///a%00b", "control character"},
		{"file:///a\nb", "control character"},
		{"ftp://u%0d%0aDELE:p@h/x", "control character"},
		{"ftp://u:%0ap@h/x", "control character"},
		{"ftp:///dir", "no valid host"},
		{"ftp://u:p@/dir", "no valid host"},
		{"ftp://two words/dir", "no valid host"},
		{"ftp://h%41/dir", "no valid host"},
		{"ftp://::1/dir", "no valid host"},
		{"sftp://-oProxyCommand=x/dir", "no valid host"},
		{"sftp://-oProxyCommand=x@h/dir", "starts with a dash"},
		{"ftp://[::1/dir", `no "]"`},
		{"ftp://[]/dir", "no IPv6 address"},
		{"ftp://[1.2.3.4]/dir", "no IPv6 address"},
		{"ftp://[fe80::1%25a]b]/dir", "port"},
		{"ftp://[fe80::1%25a%5Db]/dir", "no IPv6 address"},
		{"ftp://[%00]/dir", "control character"},
		{"ftp://[::1]x/dir", "port"},
		{"ftp://h:0/dir", "port"},
		{"ftp://h:65536/dir", "port"},
		{"ftp://h:+1/dir", "port"},
		{"ftp://h::mod/dir", "port"},
		{"rsync://h:x::mod/dir", "port"},
		{"rsync://h::", "no module"},
		{"rsync://h::/", "no module"},
		{"rsync://h::%2Fmod", "no module"},
		{"rclone:", "no path"},
		{"rclone:///x", "no remote"},
		{"rclone:/local/x", "no remote"},
		{"rclone:remote", "no remote"},
		{"rclone:-option:x", "no remote"},
		{"rclone::sftp,host=h,pass=hunter2:x", "no remote"},
		{"rclone:remote,pass=hunter2:x", "no remote"},
		{"s3+http://", "no path"},
		{"s3+http://k:s@", "no path"},
		{"s3+http://k:s@/x", "container has no name"},
	}
	for _, test := range tests {
		a, err := backends.ParseAddress(test.text)
		if err == nil {
			t.Errorf("%q is taken for %+v", test.text, partsOf(a))
		} else if !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: error is %q, want one with %q", test.text, err, test.want)
		}
	}
}

// TestAddressErrorsHideSecrets has passwords that were not written as they
// should, so that the parser takes a part of them for something else.
func TestAddressErrorsHideSecrets(t *testing.T) {
	for _, text := range []string{
		"ftp://user:hunter/2@host/dir", "ftp://user:hunter#2@host/dir", "ftp://user:hunter?2@host/dir",
		"ftp://user:%00hunter2@host/dir", "ftp://user:hunter2@ho st/dir", "ftp://user:hunter2@host:x/dir",
		"ftp://[hunter/2@host/dir", "s3+http://key:hunter\x002@bucket",
		"user:hunter2@host:dir", "ftp:user:hunter2@host", "ftp//user:hunter2@host", "ftp://-user:hunter2@host",
		"user:pass://hunter2@host/", "rclone::sftp,pass=hunter2:x", "RCLONE://remote,pass=hunter2:x",
	} {
		_, err := backends.ParseAddress(text)
		if err == nil {
			t.Errorf("%q is taken for an address", text)
		} else if strings.Contains(err.Error(), "hunter") {
			t.Errorf("%q: the error shows the password: %v", text, err)
		}
	}
}

// FuzzParseAddress: whatever is taken for an address is written as one that
// reads the same but for the password.
func FuzzParseAddress(f *testing.F) {
	for _, a := range addresses {
		f.Add(a.text)
	}
	f.Add("rsync://u:p@[fe80::1%25eth0]:1::/m//x")
	f.Add("file:////x%")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := backends.ParseAddress(text)
		if err != nil {
			return
		}
		again, err := backends.ParseAddress(a.String())
		if err != nil {
			t.Fatalf("%q is written %q: %v", text, a, err)
		}
		a.Password = backends.Secret{}
		if again != a {
			t.Errorf("%q is written %q and read back as %+v, want %+v", text, a, partsOf(again), partsOf(a))
		}
	})
}
