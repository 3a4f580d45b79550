package pgsqlfs

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Cluster is one server: a data directory with the databases in it, at a
// port of its own.
type Cluster struct {
	Version string // of the server, as in "15" or "9.6"
	Name    string // "main"

	// Bin is the directory of the server's own programs; "" takes those in
	// PATH.
	Bin string

	// Owner is the user the server and its programs run as, who is its
	// superuser by the same name; "" for this process's user.
	Owner string
	Group string // the owner's own, by name or number
	Home  string // of the owner, where a .pgpass may be

	Socket string // the directory it is in
	Port   int

	Running bool
	Manual  bool // not started at boot: one that is down is not missed
}

// String returns the version and the name as the tools of Debian do:
// "15/main".
func (c Cluster) String() string { return c.Version + "/" + c.Name }

// Places of Debian's packages, below the root.
const (
	configDir   = "etc/postgresql" // VERSION/NAME/postgresql.conf
	programDir  = "usr/lib/postgresql"
	dataDir     = "var/lib/postgresql"
	socketDir   = "/var/run/postgresql"
	defaultPort = 5432
)

// Find returns the clusters of the machine below root, as Debian configures
// them. The one at the standard port comes first, then they are in order of
// version and name. One without data or without its server's programs, as a
// package leaves behind that was removed, is none.
func Find(root string) ([]Cluster, error) {
	found, err := filepath.Glob(filepath.Join(root, configDir, "*", "*", "postgresql.conf"))
	if err != nil {
		return nil, err
	}
	var clusters []Cluster
	for _, path := range found {
		c, err := readCluster(root, path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("read PostgreSQL cluster %q: %w", filepath.Dir(path), err)
		}
		clusters = append(clusters, c)
	}
	slices.SortFunc(clusters, compareClusters)
	return clusters, nil
}

func compareClusters(a, b Cluster) int {
	first := func(c Cluster) int {
		if c.Port == defaultPort {
			return 0
		}
		return 1
	}
	return cmp.Or(first(a)-first(b), compareVersions(a.Version, b.Version), strings.Compare(a.Name, b.Name))
}

func compareVersions(a, b string) int {
	number := func(s string) float64 {
		n, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return -1
		}
		return n
	}
	return cmp.Or(cmp.Compare(number(a), number(b)), strings.Compare(a, b))
}

// readCluster reads a cluster from its configuration file;
// fs.ErrNotExist if it has no data or no programs.
func readCluster(root, path string) (Cluster, error) {
	dir := filepath.Dir(path)
	c := Cluster{Version: filepath.Base(filepath.Dir(dir)), Name: filepath.Base(dir)}
	bin := filepath.Join(programDir, c.Version, "bin")
	if _, err := os.Stat(filepath.Join(root, bin, "postgres")); err != nil {
		return c, err
	}
	c.Bin = filepath.Join("/", bin)
	conf := settings{"data_directory": filepath.Join("/", dataDir, c.Version, c.Name)}
	if err := conf.read(root, path, 0); err != nil {
		return c, err
	}
	data := filepath.Join(root, conf["data_directory"])
	if err := conf.read(root, filepath.Join(data, "postgresql.auto.conf"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	if err := c.place(conf); err != nil {
		return c, err
	}
	c.Manual = startsManually(filepath.Join(dir, "start.conf"))
	c.Running = running(filepath.Join(data, "postmaster.pid"))
	return c, c.setOwner(data)
}

// place sets where the cluster listens.
func (c *Cluster) place(conf settings) error {
	c.Port, c.Socket = defaultPort, socketDir
	if port, ok := conf["port"]; ok {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return fmt.Errorf("parse port %q: %w", port, errors.Unwrap(err))
		}
		c.Port = int(n)
	}
	first, _, _ := strings.Cut(conf["unix_socket_directories"], ",")
	if first = strings.Trim(first, ` "`); first != "" {
		c.Socket = first
	}
	return nil
}

func (c *Cluster) setOwner(data string) error {
	var st unix.Stat_t
	if err := unix.Stat(data, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: data, Err: err}
	}
	owner, err := user.LookupId(strconv.FormatUint(uint64(st.Uid), 10))
	if err != nil {
		return fmt.Errorf("find the owner of %q: %w", data, err)
	}
	c.Home = owner.HomeDir
	if int(st.Uid) != os.Geteuid() {
		c.Owner, c.Group = owner.Username, owner.Gid
	}
	return nil
}

// startsManually reads the word in a start.conf: auto, manual or disabled.
// Without the file it is auto.
func startsManually(path string) bool {
	data, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		word, _, _ := strings.Cut(line, "#")
		if word = strings.TrimSpace(word); word != "" {
			return word != "auto"
		}
	}
	return false
}

// running says whether the process lives that a postmaster.pid names in its
// first line.
func running(path string) bool {
	data, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	pid, err := strconv.Atoi(string(bytes.TrimSpace(line)))
	if err != nil || pid <= 0 {
		return false
	}
	err = unix.Kill(pid, 0)
	return err == nil || err == unix.EPERM
}
