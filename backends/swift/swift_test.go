package swift_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"tklbam/backends"
	"tklbam/backends/backendtest"
	"tklbam/backends/swift"
)

// conform runs the suite, each of its targets under a prefix or in a container
// of its own.
func conform(t *testing.T, env swift.Environment, format string) {
	n := 0
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		n++
		return open(t, env, fmt.Sprintf(format, n))
	})
}

// TestConformance cuts the longest files of the suite into segments.
func TestConformance(t *testing.T) {
	env := swift.Environment{Swift: account(startCluster(t)), SegmentSize: 2_500_000, SpoolDir: t.TempDir()}
	conform(t, env, "swift://conformance/%d")
}

// storesAndReads has a file go the whole way.
func storesAndReads(t *testing.T, b backends.Backend, content []byte) {
	t.Helper()
	if err := put(t.Context(), b, "name", content); err != nil {
		t.Fatal(err)
	}
	wantNames(t, b, fmt.Sprintf("name %d", len(content)))
	if got, err := read(t.Context(), b, "name"); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes of %d come back, %v", len(got), len(content), err)
	}
	if err := b.Delete(t.Context(), "name"); err != nil {
		t.Error(err)
	}
	wantNames(t, b)
}

// wantFinal holds that an error is there, that it is none to try again after,
// and that it shows no secret.
func wantFinal(t *testing.T, err error) {
	t.Helper()
	if err == nil || errors.Is(err, backends.ErrUnavailable) {
		t.Errorf("error is %v", err)
	}
	if err != nil && (strings.Contains(err.Error(), testPassword) || strings.Contains(err.Error(), "secret")) {
		t.Errorf("the error shows the password: %v", err)
	}
}

func put(ctx context.Context, b backends.Backend, name string, content []byte) error {
	return b.Put(ctx, name, func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	})
}

func read(ctx context.Context, b backends.Reader, name string) ([]byte, error) {
	r, err := b.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(r)
	return content, errors.Join(err, r.Close())
}

func wantNames(t *testing.T, b backends.Reader, want ...string) {
	t.Helper()
	var got []string
	err := b.List(t.Context(), func(name string, size int64) error {
		got = append(got, fmt.Sprintf("%s %d", name, size))
		return nil
	})
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("List gives %q, %v, want %q", got, err, want)
	}
}

// TestConcurrentLarge has several large files come under one name.
func TestConcurrentLarge(t *testing.T) {
	b := open(t, swift.Environment{CloudFiles: account(startCluster(t)), SegmentSize: 100_000}, "cf+http://concurrent")
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			if err := put(t.Context(), b, "name", big[:300_000+i]); err != nil {
				t.Errorf("Put %d: %v", i, err)
			}
		})
	}
	all.Wait()
	got, err := read(t.Context(), b, "name")
	if err != nil || len(got) < 300_000 || !bytes.HasPrefix(big, got) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestLarge looks at what a large file is made of, and what is left of it.
func TestLarge(t *testing.T) {
	acc := account(startCluster(t))
	b := open(t, swift.Environment{Swift: acc, SegmentSize: 1000}, "swift://large/a/prefix")
	r := login(t, acc)
	content := bytes.Repeat([]byte("0123456789"), 250)
	if err := put(t.Context(), b, "name", content); err != nil {
		t.Fatal(err)
	}
	if n := len(r.names("large")); n != 4 { // and the manifest
		t.Errorf("%d objects, want 4: %q", n, r.names("large"))
	}
	wantNames(t, b, "name 2500")

	for _, replacement := range [][]byte{content[:1500], content[:10], content, content[:1000]} {
		if err := put(t.Context(), b, "name", replacement); err != nil {
			t.Fatal(err)
		}
		want := 1
		if len(replacement) > 1000 {
			want += (len(replacement) + 999) / 1000
		}
		if n := len(r.names("large")); n != want {
			t.Errorf("replaced by %d bytes: %d objects, want %d: %q", len(replacement), n, want, r.names("large"))
		}
	}

	stop := errors.New("stop")
	err := b.Put(t.Context(), "other", func(w io.Writer) error {
		_, err := w.Write(content)
		return errors.Join(err, stop)
	})
	if !errors.Is(err, stop) {
		t.Errorf("Put: %v", err)
	}
	storesAndReads(t, b, content)
	if names := r.names("large"); len(names) != 0 {
		t.Errorf("%q are left", names)
	}
}

// TestForeignLarge reads, lists and deletes the large objects of other
// programs, and nothing besides that a manifest names.
func TestForeignLarge(t *testing.T) {
	acc := account(startCluster(t))
	b := open(t, swift.Environment{Swift: acc}, "swift://foreign/prefix")
	r := login(t, acc)
	r.do(http.MethodPut, "/foreign_segments", "")
	for path, body := range map[string]string{
		"/foreign_segments/prefix/dynamic/1/1": "one ", "/foreign_segments/prefix/dynamic/1/2": "two",
		"/foreign_segments/prefix/static/1/1": "one ", "/foreign/prefix/mine": "two",
	} {
		r.do(http.MethodPut, path, body)
	}
	r.do(http.MethodPut, "/foreign/prefix/dynamic", "", "X-Object-Manifest: foreign_segments/prefix/dynamic/1/")
	r.do(http.MethodPut, "/foreign/prefix/greedy", "", "X-Object-Manifest: foreign/prefix/")
	r.do(http.MethodPut, "/foreign/prefix/static?multipart-manifest=put",
		`[{"path":"/foreign_segments/prefix/static/1/1"},{"path":"/foreign/prefix/mine"}]`)

	for _, name := range []string{"dynamic", "static"} {
		if got, err := read(t.Context(), b, name); string(got) != "one two" || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if err := b.Delete(t.Context(), "greedy"); err != nil {
		t.Error(err)
	}
	wantNames(t, b, "dynamic 7", "mine 3", "static 7")
	for _, name := range []string{"dynamic", "static"} {
		if err := b.Delete(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	wantNames(t, b, "mine 3")
	if names := r.names("foreign_segments"); len(names) != 0 {
		t.Errorf("segments %q are left", names)
	}
}

func TestAddresses(t *testing.T) {
	env := swift.Environment{Swift: account(startCluster(t)), StoragePolicy: "silver"}
	if _, err := tryOpen(t.Context(), env, "swift://absent/prefix", false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absent container: %v", err)
	}
	b := open(t, env, "swift://addresses/a%20b/%C3%BC+%25")
	if err := put(t.Context(), b, "name", []byte("content")); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"swift://addresses//a%20b/%C3%BC+%25/", "swift:///addresses/a%20b/%C3%BC+%25"} {
		other, err := tryOpen(t.Context(), env, address, false)
		if err != nil {
			t.Fatal(err)
		}
		wantNames(t, other, "name 7")
		other.Close()
	}
	wantNames(t, open(t, env, "swift://addresses"))
	for _, address := range []string{"swift://addresses/..", "swift://./x"} {
		_, err := tryOpen(t.Context(), env, address, true)
		wantFinal(t, err)
	}
	r := login(t, env.Swift)
	req, err := http.NewRequest(http.MethodGet, r.account+"/addresses", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Auth-Token", r.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if policy := res.Header.Get("X-Storage-Policy"); policy != "silver" {
		t.Errorf("the container's policy is %q", policy)
	}

	env.Swift.User, env.Swift.Password = "", backends.NewSecret("secret")
	if _, err := tryOpen(t.Context(), env, "swift://test%3Atester@addresses", false); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a wrong password: %v", err)
	}
	b = open(t, env, "swift://test%3Atester:p%3Aa%22s%5Cs%40%2F%25%26@addresses")
	if strings.Contains(b.String(), "s%5Cs") {
		t.Errorf("String shows the password: %s", b)
	}
}

// TestQuota is a container without room.
func TestQuota(t *testing.T) {
	acc := account(startCluster(t))
	b := open(t, swift.Environment{Swift: acc}, "swift://quota")
	login(t, acc).do(http.MethodPost, "/quota", "", "X-Container-Meta-Quota-Bytes: 100")
	if err := put(t.Context(), b, "name", make([]byte, 101)); !errors.Is(err, backends.ErrNoSpace) {
		t.Errorf("beyond the quota: %v", err)
	}
	wantNames(t, b)
}
