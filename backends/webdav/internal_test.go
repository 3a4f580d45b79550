package webdav

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tklbam/backends"
)

// TestDigest has the example of RFC 7616, section 3.9.1, with the challenges in
// the orders and company that servers send them.
func TestDigest(t *testing.T) {
	const rest = `realm="http-auth@example.org", qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`
	md5, sha := "Digest algorithm=MD5, "+rest, "Digest "+rest+", algorithm=SHA-256"
	for _, c := range []struct {
		challenges []string
		want       string
	}{
		{[]string{md5}, "8ca523f5e9506fed4657c9700eebdbec"},
		{[]string{md5, sha}, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
		{[]string{sha + ", " + md5 + `, Basic realm="a, Digest b"`}, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
		{[]string{`Negotiate, Basic realm="x"`, md5}, "8ca523f5e9506fed4657c9700eebdbec"},
	} {
		a := &authenticator{user: "Mufasa", password: backends.NewSecret("Circle of Life")}
		again, err := a.learn(nil, false, http.Header{"Www-Authenticate": c.challenges})
		if err != nil || !again {
			t.Errorf("%q: %v, %v", c.challenges, again, err)
			continue
		}
		got := a.digest(a.current(), "GET", "/dir/index.html", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", a.next(a.current()))
		if !strings.Contains(got, `response="`+c.want+`"`) {
			t.Errorf("%q: %s, want response %s", c.challenges, got, c.want)
		}
	}
}

// TestRefused has challenges after which the same credentials are not sent
// again, and those that change the nonce only.
func TestRefused(t *testing.T) {
	header := func(value string) http.Header { return http.Header{"Www-Authenticate": {value}} }
	for _, c := range []struct {
		first, second string
		asked, again  bool
	}{
		{`Basic realm="x"`, `Basic realm="x"`, true, false},
		{`Basic realm="x"`, `Basic realm="x"`, false, false},
		{`Digest realm="x", nonce="1"`, `Digest realm="x", nonce="2"`, true, false},
		{`Digest realm="x", nonce="1"`, `Digest realm="x", nonce="2"`, false, true},
		{`Digest realm="x", nonce="1"`, `Digest realm="x", nonce="2", stale=TRUE`, true, true},
		{`Digest realm="x", nonce="1"`, `Digest realm="x", nonce="1", stale=true`, true, false},
		{`Digest realm="x", nonce="1"`, `Basic realm="x"`, false, false},
	} {
		a := &authenticator{user: "user", password: backends.NewSecret("password")}
		if again, err := a.learn(nil, false, header(c.first)); err != nil || !again {
			t.Fatalf("%q: %v, %v", c.first, again, err)
		}
		if again, err := a.learn(a.current(), c.asked, header(c.second)); err != nil || again != c.again {
			t.Errorf("%q after %q: %v, %v, want %v", c.second, c.first, again, err, c.again)
		}
	}
}

func TestHrefs(t *testing.T) {
	base := &url.URL{Scheme: "http", Host: "host", Path: "/dav/coll/"}
	for _, c := range []struct {
		href, dir, name string
		slash           bool
	}{
		{"/dav/coll/name", "/dav/coll/", "name", false},
		{"/dav/coll/", "/dav/", "coll", true},
		{"https://other:8443/dav/coll/a%20b", "/dav/coll/", "a b", false},
		{"http://host", "", "", true},
		{"name", "/dav/coll/", "name", false},
		{"./a:b", "/dav/coll/", "a:b", false},
		{"", "/dav/", "coll", true},
		{"/dav/coll/100% not coded", "/dav/coll/", "100% not coded", false},
		{"/dav/coll/a%2Fb", "/dav/coll/", "a/b", false},
	} {
		dir, name, slash := splitHref(c.href, base)
		if dir != c.dir || name != c.name || slash != c.slash {
			t.Errorf("%q: %q, %q, %v", c.href, dir, name, slash)
		}
	}
}

// FuzzMultistatus: any document gives entries or an error; what the driver
// would list has a valid name.
func FuzzMultistatus(f *testing.F) {
	f.Add(`<d:multistatus xmlns:d="DAV:"><d:response><d:href>/a/b</d:href><d:propstat><d:status>HTTP/1.1 200 OK</d:status><d:prop><d:getcontentlength>5</d:getcontentlength></d:prop></d:propstat></d:response></d:multistatus>`)
	f.Add(`<multistatus xmlns="DAV:"><response><href/></response>`)
	f.Add(`<x/>`)
	f.Add("")
	base := &url.URL{Path: "/a/"}
	f.Fuzz(func(t *testing.T, document string) {
		err := parseMultistatus(strings.NewReader(document), func(r response) error {
			if e := r.entry(base, time.Time{}); e.size < -1 {
				t.Errorf("size %d", e.size)
			}
			return nil
		})
		if err == nil && !strings.Contains(document, "multistatus") {
			t.Error("what is no multistatus document is none for the parser")
		}
	})
}

// FuzzChallenges: any header gives challenges that can be answered in one line
// without control characters of the server's.
func FuzzChallenges(f *testing.F) {
	f.Add(`Digest realm="a\"b", nonce="n", qop="auth", algorithm=MD5-sess, Basic realm=x`)
	f.Add(`Basic`)
	f.Add(`Digest ,,="`)
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' }) {
			t.Skip("net/http gives no such header")
		}
		for _, c := range parseChallenges([]string{value}) {
			a := &authenticator{user: "user", known: c}
			if got := a.header(c, "GET", "/"); strings.ContainsAny(got, "\r\n") {
				t.Errorf("%q", got)
			}
		}
	})
}

// TestLongElement is a server that sends an element without end.
func TestLongElement(t *testing.T) {
	document := `<multistatus xmlns="DAV:"><response><href>` + strings.Repeat("x", 2*maxElement)
	if err := parseMultistatus(strings.NewReader(document), func(response) error { return nil }); err == nil || !strings.Contains(err.Error(), "longer") {
		t.Errorf("error is %v", err)
	}
}
