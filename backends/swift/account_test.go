package swift_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"tklbam/backends"
	"tklbam/backends/swift"
)

// TestVersion2 logs in as Keystone's version 2 and Rackspace's variant of it
// document it. No identity service has it any more: a stand-in checks the
// requests, and sends to the cluster with a token of its own.
func TestVersion2(t *testing.T) {
	r := login(t, account(startCluster(t)))
	for name, c := range map[string]struct {
		address string
		env     func(url string) swift.Environment
		want    string
	}{
		"Keystone": {"swift://version2", func(url string) swift.Environment {
			return swift.Environment{Swift: swift.Account{AuthURL: url, AuthVersion: "2", User: "tester", Password: backends.NewSecret("pass"), Project: "test", Region: "here"}}
		}, `{"auth": {"passwordCredentials": {"username": "tester", "password": "pass"}, "tenantName": "test"}}`},
		"project before the user": {"swift://version2", func(url string) swift.Environment {
			return swift.Environment{Swift: swift.Account{AuthURL: url + "/v2.0/", User: "test:tester", Password: backends.NewSecret("pass")}}
		}, `{"auth": {"passwordCredentials": {"username": "tester", "password": "pass"}, "tenantName": "test"}}`},
		"Rackspace": {"cf+http://version2", func(url string) swift.Environment {
			return swift.Environment{CloudFiles: swift.Account{AuthURL: url + "/v2.0", User: "tester", Password: backends.NewSecret("0123456789abcdef0123456789abcdef")}}
		}, `{"auth": {"RAX-KSKEY:apiKeyCredentials": {"username": "tester", "apiKey": "0123456789abcdef0123456789abcdef"}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				body, _ := io.ReadAll(req.Body)
				if req.Method != http.MethodPost || req.URL.Path != "/v2.0/tokens" || !sameJSON(body, c.want) {
					t.Errorf("%s %s %s", req.Method, req.URL, body)
				}
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprintf(w, `{"access": {"token": {"id": %q, "expires": "2099-01-01T00:00:00Z"}, "serviceCatalog": [
					{"type": "identity", "endpoints": [{"publicURL": "http://127.0.0.1:1"}]},
					{"type": "object-store", "endpoints": [
						{"region": "here", "publicURL": %q}, {"region": "there", "publicURL": "http://127.0.0.1:1"}]}]}}`, r.token, r.account)
			}))
			t.Cleanup(s.Close)
			storesAndReads(t, open(t, c.env(s.URL), c.address), []byte("content"))
		})
	}
}

func sameJSON(got []byte, want string) bool {
	var a, b any
	return json.Unmarshal(got, &a) == nil && json.Unmarshal([]byte(want), &b) == nil && reflect.DeepEqual(a, b)
}

// TestIncomplete holds that what is missing or contradictory is said before
// anything is sent.
func TestIncomplete(t *testing.T) {
	secret := backends.NewSecret("secret")
	for want, acc := range map[string]swift.Account{
		"where to log in":     {User: "u", Password: secret},
		"no user":             {AuthURL: "http://127.0.0.1:1/v3", Password: secret},
		"no password":         {AuthURL: "http://127.0.0.1:1/v3", User: "u"},
		"none of 1, 2 and 3":  {AuthURL: "http://127.0.0.1:1", AuthVersion: "4", User: "u", Password: secret},
		"of the form http":    {AuthURL: "secret", User: "u", Password: secret},
		"no place in it":      {AuthURL: "http://u:secret@127.0.0.1:1/v3", User: "u", Password: secret},
		"no storage URL":      {Token: secret},
		"storage URL: not of": {Token: secret, StorageURL: "secret"},
	} {
		_, err := tryOpen(t.Context(), swift.Environment{Swift: acc}, "swift://container", true)
		wantFinal(t, err)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
}

// TestLeaks holds that passwords and tokens go where the settings say, and
// nowhere without the encryption they ask for.
func TestLeaks(t *testing.T) {
	thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		t.Errorf("%s %s reaches another server: %v", req.Method, req.URL, req.Header)
	}))
	t.Cleanup(thief.Close)
	redirecting := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, thief.URL, http.StatusTemporaryRedirect)
	})
	unencrypted := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Auth-Token", "token")
		w.Header().Set("X-Storage-Url", thief.URL)
	})
	for name, handler := range map[string]http.Handler{"redirects": redirecting, "without encryption": unencrypted} {
		for _, version := range []string{"1", "3"} {
			s := httptest.NewTLSServer(handler)
			t.Cleanup(s.Close)
			acc := swift.Account{AuthURL: s.URL, AuthVersion: version, User: "u", Password: backends.NewSecret("secret")}
			_, err := tryOpen(t.Context(), swift.Environment{Swift: acc}, "swift://container", false)
			wantFinal(t, err) // the certificate is not trusted
			_, err = tryOpen(t.Context(), swift.Environment{Swift: acc, CAFile: caFile(t, s)}, "swift://container", false)
			wantFinal(t, err)
			if err == nil || version == "1" && !strings.Contains(err.Error(), name) {
				t.Errorf("error is %v, want %q", err, name)
			}
		}
	}
}

// caFile writes a server's certificate.
func caFile(t *testing.T, s *httptest.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
