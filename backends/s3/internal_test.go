package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"tklbam/backends"
)

func TestLocate(t *testing.T) {
	tests := []struct {
		address  string
		endpoint string // of the options
		want     location
	}{
		{"s3://host/bucket", "", location{"host", "bucket", ""}},
		{"s3://host:9000/bucket/a/b", "", location{"host:9000", "bucket", "a/b/"}},
		{"s3://[::1]/bucket", "", location{"[::1]", "bucket", ""}},
		{"s3://[::1]:9000//bucket///a//", "", location{"[::1]:9000", "bucket", "a/"}},
		{"s3://host/bucket/a%20b", "elsewhere", location{"host", "bucket", "a b/"}},
		{"s3+http://bucket/a", "", location{amazon, "bucket", "a/"}},
		{"s3+http://Old_Bucket", "", location{amazon, "Old_Bucket", ""}},
		{"s3+http://bucket", "host:1", location{"host:1", "bucket", ""}},
		{"s3+http://bucket", "https://host:1/", location{"host:1", "bucket", ""}},
		{"s3://host", "", location{}},
		{"s3://host//", "", location{}},
		{"s3://host/b", "", location{}},
		{"s3://host/bucket%3Ff", "", location{}},
		{"s3+http://bucket", "http://host", location{}},
		{"s3+http://bucket", "ftp://host", location{}},
	}
	for _, test := range tests {
		a, err := backends.ParseAddress(test.address)
		if err != nil {
			t.Fatal(err)
		}
		got, err := locate(a, Options{Endpoint: test.endpoint})
		if got != test.want || (err != nil) != (test.want == location{}) {
			t.Errorf("%s with endpoint %q is at %+v, %v; want %+v", test.address, test.endpoint, got, err, test.want)
		}
	}
}

// FuzzLocate: any path is an error or a bucket and a prefix without empty
// parts, from which the same location is read.
func FuzzLocate(f *testing.F) {
	for _, path := range []string{"", "bucket", "bucket/a/b", "//bucket//a/", "../x", "b", "bucket/\xff", "1.2.3.4/x"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		l, err := locate(backends.Address{Scheme: "s3", Host: "host", Path: path}, Options{})
		if err != nil {
			return
		}
		if l.bucket == "" || strings.HasPrefix(l.prefix, "/") || strings.Contains(l.prefix, "//") || l.prefix != "" && !strings.HasSuffix(l.prefix, "/") {
			t.Errorf("%q is at %+v", path, l)
		}
		again, err := locate(backends.Address{Scheme: "s3", Host: "host", Path: l.bucket + "/" + l.prefix}, Options{})
		if err != nil || again != l {
			t.Errorf("%q is at %+v, which is at %+v, %v", path, l, again, err)
		}
	})
}

// TestPartSizes: no file is too long for the parts, and those of common ones
// are equal.
func TestPartSizes(t *testing.T) {
	opts, err := Options{}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	u := &upload{target: &target{opts: opts}}
	total := int64(0)
	for range maxParts {
		size := u.partSize()
		if total < 15<<30 && size != defaultPartSize {
			t.Fatalf("part %d has %d bytes", len(u.parts)+1, size)
		}
		total += int64(size)
		u.parts = append(u.parts, nil)
	}
	if total < 480<<30 {
		t.Errorf("%d parts hold %d GiB", maxParts, total>>30)
	}
	if err := u.begin(); err == nil || !strings.Contains(err.Error(), "10000") {
		t.Errorf("error for one part more is %v", err)
	}
}

func TestCause(t *testing.T) {
	answer := func(status int, code string) error {
		return minio.ErrorResponse{StatusCode: status, Code: code, Message: "words\nof the server"}
	}
	tests := []struct {
		err  error
		want error // nil for none of those that callers know
	}{
		{answer(404, "NoSuchKey"), fs.ErrNotExist},
		{answer(404, "NoSuchUpload"), backends.ErrUnavailable},
		{answer(404, "404 Not Found"), fs.ErrNotExist},
		{answer(403, "AccessDenied"), fs.ErrPermission},
		{answer(401, "x"), fs.ErrPermission},
		{answer(400, "ExpiredToken"), fs.ErrPermission},
		{answer(403, "QuotaExceeded"), backends.ErrNoSpace},
		{answer(507, "x"), backends.ErrNoSpace},
		{answer(400, "BadDigest"), backends.ErrUnavailable},
		{answer(500, "x"), backends.ErrUnavailable},
		{answer(503, "x"), backends.ErrUnavailable},
		{answer(501, "NotImplemented"), nil},
		{answer(400, "InvalidArgument"), nil},
		{answer(403, "InvalidObjectState"), nil},
		{errors.New("other"), nil},
		{errNoCredentials, fs.ErrPermission},
	}
	known := []error{fs.ErrNotExist, fs.ErrPermission, backends.ErrNoSpace, backends.ErrUnavailable}
	for _, test := range tests {
		got := (&target{}).cause(t.Context(), test.err)
		for _, class := range known {
			if errors.Is(got, class) != (class == test.want) {
				t.Errorf("%+v becomes %v, want %v", test.err, got, test.want)
			}
		}
		if strings.Contains(got.Error(), "\n") {
			t.Errorf("the message %q has lines", got)
		}
	}
	if err := (&target{}).cause(t.Context(), nil); err != nil {
		t.Errorf("nil becomes %v", err)
	}
}

// startMetadata plays the instance metadata of a machine with a role.
func startMetadata(t *testing.T, role string) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPut && r.URL.Path == metadataTokenPath && r.Header.Get("X-aws-ec2-metadata-token-ttl-seconds") != "":
			fmt.Fprint(w, "the token")
		case r.Method != http.MethodGet || r.Header.Get("X-aws-ec2-metadata-token") != "the token":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == metadataRolePath:
			fmt.Fprintln(w, "role")
		case r.URL.Path == metadataRolePath+"role":
			fmt.Fprint(w, role)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// roleAnswer has the form that Amazon's user guide shows.
const roleAnswer = `{"Code": "Success", "LastUpdated": "2020-01-01T00:00:00Z", "Type": "AWS-HMAC", "AccessKeyId": "metadata",
	"SecretAccessKey": "secret", "Token": "token", "Expiration": "2099-01-01T00:00:00Z"}`

func TestCredentialSources(t *testing.T) {
	files := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(files, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	shared := write("credentials", "[default]\naws_access_key_id = file\naws_secret_access_key = secret\n\n"+
		"[other]\naws_access_key_id = profile\naws_secret_access_key = secret\naws_session_token = token\n")
	absent := filepath.Join(files, "absent")
	role, broken, none := startMetadata(t, roleAnswer), startMetadata(t, "{"), startMetadata(t, `{"Code": "Failed"}`)
	fixed := Credentials{AccessKeyID: "fixed", SecretAccessKey: backends.NewSecret("secret")}
	renew := func(context.Context) (Credentials, error) {
		return Credentials{AccessKeyID: "renewed", SecretAccessKey: backends.NewSecret("secret")}, nil
	}
	address := backends.Address{User: "address", Password: backends.NewSecret("secret")}
	tests := []struct {
		name    string
		address backends.Address
		opts    Options
		want    string // the access key, or what the error has
	}{
		{"address", address, Options{Credentials: fixed}, "address"},
		{"fixed", backends.Address{}, Options{Credentials: fixed, Renew: renew, MetadataURL: role}, "fixed"},
		{"renewed", backends.Address{}, Options{Renew: renew, CredentialsFiles: []string{shared}}, "renewed"},
		{"file", backends.Address{}, Options{CredentialsFiles: []string{absent, shared}, MetadataURL: role}, "file"},
		{"profile", backends.Address{}, Options{CredentialsFiles: []string{"", shared}, Profile: "other"}, "profile"},
		{"metadata", backends.Address{}, Options{CredentialsFiles: []string{absent}, MetadataURL: role + "/"}, "metadata"},
		{"no profile", backends.Address{}, Options{CredentialsFiles: []string{shared}, Profile: "third"}, "third"},
		{"broken metadata", backends.Address{}, Options{MetadataURL: broken}, "read the instance metadata"},
		{"no role", backends.Address{}, Options{MetadataURL: none}, `its code is "Failed"`},
		{"nothing", backends.Address{}, Options{CredentialsFiles: []string{absent}}, "no credentials"},
	}
	for _, test := range tests {
		creds, _, err := newCredentials(test.address, test.opts)
		if err != nil {
			t.Fatal(err)
		}
		v, err := creds.GetWithContext(nil)
		if err != nil && (!errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: error is %v", test.name, err)
		}
		if err == nil && v.AccessKeyID != test.want {
			t.Errorf("%s: the key is %q, want %q", test.name, v.AccessKeyID, test.want)
		}
	}
}

// TestRenewal: credentials are fetched again before they end, and others only
// once.
func TestRenewal(t *testing.T) {
	for _, test := range []struct {
		expires time.Time
		fetches int
	}{
		{time.Time{}, 1},
		{time.Now().Add(time.Hour), 1},
		{time.Now().Add(-time.Hour), 3},
	} {
		fetches := 0
		creds, renewable, err := newCredentials(backends.Address{}, Options{Renew: func(context.Context) (Credentials, error) {
			fetches++
			return Credentials{"key", backends.NewSecret("secret"), backends.Secret{}, test.expires}, nil
		}})
		if err != nil || !renewable {
			t.Fatal(renewable, err)
		}
		for range 3 {
			if _, err := creds.GetWithContext(nil); err != nil {
				t.Error(err)
			}
		}
		if fetches != test.fetches {
			t.Errorf("credentials that end at %v were fetched %d times, want %d", test.expires, fetches, test.fetches)
		}
	}
}
