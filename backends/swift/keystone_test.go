package swift_test

import (
	"errors"
	"testing"

	"tklbam/backends"
	"tklbam/backends/swift"
)

func TestKeystone(t *testing.T) {
	url := startKeystone(t)
	whole := swift.Account{
		AuthURL: url + "/v3", AuthVersion: "3", User: "tester", Password: backends.NewSecret(testPassword),
		Project: "test", UserDomain: "Default", ProjectDomain: "Default", Region: "here",
	}
	for name, change := range map[string]func(a *swift.Account){
		"as Duplicity":      func(*swift.Account) {},
		"as an openrc file": func(a *swift.Account) { a.AuthURL, a.AuthVersion, a.Region = url, "", "" },
		"domains by id": func(a *swift.Account) {
			a.UserDomain, a.UserDomainID, a.ProjectDomain, a.ProjectDomainID = "", "default", "", "default"
		},
		"project before the user": func(a *swift.Account) { a.Project, a.User = "", testUser },
		"internal endpoint":       func(a *swift.Account) { a.EndpointType = "internalURL" },
	} {
		t.Run(name, func(t *testing.T) {
			acc := whole
			change(&acc)
			b := open(t, swift.Environment{Swift: acc}, "swift://keystone/prefix")
			storesAndReads(t, b, []byte("content"))
		})
	}
	for name, change := range map[string]func(a *swift.Account){
		"wrong password": func(a *swift.Account) { a.Password = backends.NewSecret("wrong secret") },
		"wrong region":   func(a *swift.Account) { a.Region = "elsewhere" },
		"wrong project":  func(a *swift.Account) { a.Project = "none" },
	} {
		t.Run(name, func(t *testing.T) {
			acc := whole
			change(&acc)
			_, err := tryOpen(t.Context(), swift.Environment{Swift: acc}, "swift://keystone", true)
			for range 5 { // a loaded Keystone locks its own database out
				if !errors.Is(err, backends.ErrUnavailable) {
					break
				}
				_, err = tryOpen(t.Context(), swift.Environment{Swift: acc}, "swift://keystone", true)
			}
			wantFinal(t, err)
			t.Log(err)
		})
	}
}
