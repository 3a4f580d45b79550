package swift

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	ncw "github.com/ncw/swift/v2"

	"tklbam/backends"
)

// rackspace is where CloudFiles accounts log in unless they say otherwise.
const rackspace = "https://identity.api.rackspacecloud.com/v2.0"

// An Account says who logs in where. Of the variables named at a field the
// first that is set counts: Duplicity's, then those of OpenStack's clients.
type Account struct {
	// AuthURL is the identity service: of TempAuth, or Keystone's with or
	// without its version. SWIFT_AUTHURL, OS_AUTH_URL, ST_AUTH.
	AuthURL string

	// AuthVersion is "1", "2" or "3", or the same with ".0". If empty, it is
	// the one AuthURL ends with; without that too it is 3 where a user's or
	// project's domain or an application credential is given, and 1
	// otherwise, as with Duplicity. SWIFT_AUTHVERSION,
	// OS_IDENTITY_API_VERSION, ST_AUTH_VERSION.
	AuthVersion string

	// User and Password serve addresses that name none. With version 1 a
	// user is "account:user"; with 2 and 3 "project:user" names the Project
	// too. SWIFT_USERNAME, OS_USERNAME, ST_USER; SWIFT_PASSWORD, OS_PASSWORD,
	// ST_KEY. Of CloudFiles: CLOUDFILES_USERNAME, CLOUDFILES_APIKEY.
	User     string
	Password backends.Secret

	UserID       string // SWIFT_USERID, OS_USER_ID
	UserDomain   string // a name: SWIFT_USER_DOMAIN_NAME, OS_USER_DOMAIN_NAME
	UserDomainID string // SWIFT_USER_DOMAIN_ID, OS_USER_DOMAIN_ID

	// Project is what version 2 calls a tenant: SWIFT_PROJECT_NAME,
	// SWIFT_TENANTNAME, OS_PROJECT_NAME, OS_TENANT_NAME.
	Project         string
	ProjectID       string // SWIFT_TENANTID, OS_PROJECT_ID, OS_TENANT_ID
	ProjectDomain   string // SWIFT_PROJECT_DOMAIN_NAME, OS_PROJECT_DOMAIN_NAME
	ProjectDomainID string // SWIFT_PROJECT_DOMAIN_ID, OS_PROJECT_DOMAIN_ID
	TrustID         string // OS_TRUST_ID

	// An application credential of Keystone's stands for user, password and
	// project: OS_APPLICATION_CREDENTIAL_ID, OS_APPLICATION_CREDENTIAL_NAME,
	// OS_APPLICATION_CREDENTIAL_SECRET.
	ApplicationID     string
	ApplicationName   string
	ApplicationSecret backends.Secret

	// Region and EndpointType ("public", "internal" or "admin", with or
	// without "URL" behind it) choose from Keystone's catalogue.
	// SWIFT_REGIONNAME, OS_REGION_NAME, CLOUDFILES_REGION;
	// SWIFT_ENDPOINT_TYPE, OS_ENDPOINT_TYPE.
	Region       string
	EndpointType string

	// StorageURL goes before the one that logging in yields. With Token
	// nobody logs in, and when the token expires the target is lost.
	// SWIFT_PREAUTHURL, OS_STORAGE_URL; SWIFT_PREAUTHTOKEN, OS_AUTH_TOKEN.
	StorageURL string
	Token      backends.Secret
}

// forAddress returns an account with the user of an address, and what a
// scheme's accounts have in common.
func (acc Account) forAddress(a backends.Address) Account {
	if a.User != "" {
		acc.User, acc.UserID = a.User, ""
	}
	if a.Password.Reveal() != "" {
		acc.Password = a.Password
	}
	if a.Scheme == "cf+http" && acc.AuthURL == "" {
		acc.AuthURL = rackspace
	}
	return acc
}

// version returns the version of the identity API, 1 to 3.
func (acc Account) version() (int, error) {
	if acc.AuthVersion != "" {
		version := versionNumber(acc.AuthVersion)
		if version == 0 {
			return 0, fmt.Errorf("the auth version %q is none of 1, 2 and 3", acc.AuthVersion)
		}
		return version, nil
	}
	if version := urlVersion(acc.AuthURL); version != 0 {
		return version, nil
	}
	if acc.UserDomain+acc.UserDomainID+acc.ProjectDomain+acc.ProjectDomainID+acc.ApplicationID+acc.ApplicationName != "" {
		return 3, nil
	}
	return 1, nil
}

// versionNumber returns the number in "2", "2.0" or "v2.0", 0 for other texts.
func versionNumber(text string) int {
	switch strings.TrimSuffix(strings.TrimPrefix(text, "v"), ".0") {
	case "1":
		return 1
	case "2":
		return 2
	case "3":
		return 3
	}
	return 0
}

// urlVersion returns the version a URL ends with, 0 if it ends with none.
func urlVersion(text string) int {
	u, err := url.Parse(text)
	if err != nil {
		return 0
	}
	last := path.Base(u.Path)
	if !strings.HasPrefix(last, "v") {
		return 0
	}
	return versionNumber(last)
}

// connection returns what logs the account in. Its errors name what is
// missing.
func (acc Account) connection() (*ncw.Connection, error) {
	version, err := acc.version()
	if err != nil {
		return nil, err
	}
	authURL, err := acc.identity(version)
	if err != nil {
		return nil, err
	}
	if acc.Project+acc.ProjectID == "" && version > 1 {
		if project, user, found := strings.Cut(acc.User, ":"); found {
			acc.Project, acc.User = project, user
		}
	}
	if err := acc.complete(); err != nil {
		return nil, err
	}
	return &ncw.Connection{
		AuthUrl: authURL, AuthVersion: version, UserAgent: userAgent,
		UserName: acc.User, UserId: acc.UserID, ApiKey: acc.Password.Reveal(),
		Domain: acc.UserDomain, DomainId: acc.UserDomainID,
		Tenant: acc.Project, TenantId: acc.ProjectID,
		TenantDomain: acc.ProjectDomain, TenantDomainId: acc.ProjectDomainID, TrustId: acc.TrustID,
		ApplicationCredentialId: acc.ApplicationID, ApplicationCredentialName: acc.ApplicationName,
		ApplicationCredentialSecret: acc.ApplicationSecret.Reveal(),
		Region:                      acc.Region,
		EndpointType:                ncw.EndpointType(strings.TrimSuffix(acc.EndpointType, "URL")),
	}, nil
}

// identity returns the URL of the identity API: Keystone's ends with its
// version, which OpenStack's own settings leave out.
func (acc Account) identity(version int) (string, error) {
	if acc.AuthURL == "" {
		return "", errors.New("it is not known where to log in (SWIFT_AUTHURL, OS_AUTH_URL)")
	}
	u, err := parseHTTP(acc.AuthURL)
	if err != nil {
		return "", fmt.Errorf("auth URL: %w", err)
	}
	if version > 1 && urlVersion(acc.AuthURL) == 0 {
		return u.JoinPath([]string{2: "v2.0", 3: "v3"}[version]).String(), nil
	}
	return u.String(), nil
}

// complete returns an error if who logs in is not known.
func (acc Account) complete() error {
	switch {
	case acc.ApplicationSecret.Reveal() != "" && acc.ApplicationID+acc.ApplicationName != "":
		return nil
	case acc.User+acc.UserID == "":
		return errors.New("there is no user to log in with (SWIFT_USERNAME, OS_USERNAME; CLOUDFILES_USERNAME)")
	case acc.Password.Reveal() == "":
		return errors.New("there is no password to log in with (SWIFT_PASSWORD, OS_PASSWORD; CLOUDFILES_APIKEY)")
	}
	return nil
}

// parseHTTP parses an absolute URL of HTTP or HTTPS. The text is not quoted in
// the error: what is no URL may be a password.
func parseHTTP(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("not of the form http://host/path or https://host/path")
	}
	if u.User != nil {
		return nil, errors.New("user and password have no place in it")
	}
	return u, nil
}
