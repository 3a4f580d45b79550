package s3

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"tklbam/backends"
)

// The instance metadata service, version 2, as Amazon's user guide for EC2
// describes it: a token is fetched with PUT and shown with each request.
const (
	metadataTokenPath = "/latest/api/token"
	metadataRolePath  = "/latest/meta-data/iam/security-credentials/"
	metadataTTL       = "300" // seconds
	metadataLimit     = 64 << 10
	metadataTimeout   = 5 * time.Second // elsewhere than at Amazon nothing answers
)

// metadata asks the service for the credentials of the machine's role.
type metadata struct {
	url    string
	client *http.Client
}

func newMetadata(url string) *metadata {
	// Without a proxy: the service is for this machine.
	transport := &http.Transport{DisableKeepAlives: true}
	return &metadata{strings.TrimRight(url, "/"), &http.Client{Transport: transport, Timeout: metadataTimeout}}
}

func (m *metadata) fetch(ctx context.Context) (Credentials, error) {
	token, err := m.ask(ctx, http.MethodPut, metadataTokenPath, "X-Aws-Ec2-Metadata-Token-Ttl-Seconds", metadataTTL)
	if err != nil {
		return Credentials{}, err
	}
	const header = "X-Aws-Ec2-Metadata-Token"
	roles, err := m.ask(ctx, http.MethodGet, metadataRolePath, header, string(token))
	if err != nil {
		return Credentials{}, err
	}
	role, _, _ := strings.Cut(string(roles), "\n")
	answer, err := m.ask(ctx, http.MethodGet, metadataRolePath+strings.TrimSpace(role), header, string(token))
	if err != nil {
		return Credentials{}, err
	}
	return parseRole(answer)
}

// ask makes one request and returns the body of the answer.
func (m *metadata) ask(ctx context.Context, method, path, header, value string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, m.url+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the instance metadata: %w", err)
	}
	req.Header.Set(header, value)
	resp, err := m.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the instance metadata: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask the instance metadata: %s answers %q", path, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, metadataLimit))
	if err != nil {
		return nil, fmt.Errorf("ask the instance metadata: %w", err)
	}
	return body, nil
}

func parseRole(answer []byte) (Credentials, error) {
	var role struct {
		Code, AccessKeyID, SecretAccessKey, Token string
		Expiration                                time.Time
	}
	if err := json.Unmarshal(answer, &role); err != nil {
		return Credentials{}, fmt.Errorf("read the instance metadata: %w", err)
	}
	if role.Code != "Success" {
		return Credentials{}, fmt.Errorf("read the instance metadata: its code is %.100q", role.Code)
	}
	return Credentials{
		AccessKeyID:     role.AccessKeyID,
		SecretAccessKey: backends.NewSecret(role.SecretAccessKey),
		SessionToken:    backends.NewSecret(role.Token),
		Expires:         role.Expiration,
	}, nil
}
