package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/urfave/cli/v2"

	"tklbam/backends"
	"tklbam/chain"
	"tklbam/chain/collection"
	"tklbam/pkg/pidlock"
	"tklbam/pkg/progress"
	"tklbam/pkg/registry"
)

func statusApplet() applet {
	return applet{
		name: "status", summary: "show whether there are backups, and which",
		flags: serverFlags(
			&cli.StringFlag{Name: "mirror"},
			&cli.StringFlag{Name: "address"},
			&cli.StringFlag{Name: "keyfile"},
			&cli.StringFlag{Name: "secretfile"},
			&cli.BoolFlag{Name: "short"},
			&cli.BoolFlag{Name: "json"},
		),
		run: runStatus,
	}
}

func runStatus(a *app, c *cli.Context) error {
	if c.NArg() > 0 {
		return usagef("unexpected argument %q", c.Args().First())
	}
	cf, err := a.conf(c)
	if err != nil {
		return err
	}
	if cf.Address == "" {
		return a.hubStatus()
	}
	b, err := a.source(cf, cf.Address, mirrorOf(c, cf), false)
	if err != nil {
		return err
	}
	defer b.Close()
	coll, err := chain.List(a.ctx, b)
	if err != nil {
		return err
	}
	checked, err := a.checkManifests(c, b, coll)
	if err != nil {
		return err
	}
	st := newStatus(coll, checked)
	st.Address = b.address
	if err := a.printStatus(c, st); err != nil {
		return err
	}
	switch {
	case len(st.Chains) == 0:
		return &exitError{exitNoBackup}
	case st.Damaged:
		return &exitError{exitIncomplete}
	}
	return nil
}

// hubStatus is what the registry says: this system has no link to the Hub.
func (a *app) hubStatus() error {
	r, err := a.registry()
	if err != nil {
		return err
	}
	text := "TKLBAM (Backup and Migration):  NOT INITIALIZED\n\n  Run \"tklbam-init --solo\" to make an encryption key.\n"
	if _, err := r.Secret(); err == nil {
		text = "TKLBAM (Backup and Migration):  NOT LINKED TO THE HUB\n\n  To see the backups at an address: tklbam-status --address=ADDRESS\n"
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := fmt.Fprint(a.stdout, text); err != nil {
		return err
	}
	return &exitError{exitSecret}
}

// checkManifests looks into the manifests if there is a secret to do it with:
// one that was given must be right, the registry's need not.
func (a *app) checkManifests(c *cli.Context, store chain.Reader, coll *collection.Collection) (bool, error) {
	given := c.String("keyfile") != "" || c.String("secretfile") != ""
	r, err := a.registry()
	if err != nil {
		return false, err
	}
	secret, err := a.restoreSecret(c, r)
	if err == nil {
		err = chain.Check(a.ctx, store, coll, secret)
	}
	if given {
		return true, err
	}
	return err == nil, a.ctx.Err()
}

// A status is what a target holds, for --json: sizes in bytes, times in
// RFC 3339.
type status struct {
	Address    string        `json:"address"`
	Checked    bool          `json:"manifests_checked"` // false: without a secret, by names only
	Damaged    bool          `json:"damaged"`           // of a chain, something can't be restored
	Chains     []statusChain `json:"chains"`            // the newest last
	Incomplete []statusStray `json:"incomplete"`        // unfinished sets
	Orphans    []statusStray `json:"orphans"`           // sets that build on nothing
	Leftovers  []statusFile  `json:"leftovers"`         // files that belong to no set
	Foreign    []string      `json:"foreign"`           // files of others
}

type statusChain struct {
	Start time.Time   `json:"start"`
	End   time.Time   `json:"end"`
	Size  int64       `json:"size"`
	Unfit []string    `json:"unfit,omitempty"` // why it is not extended
	Sets  []statusSet `json:"sets"`
}

type statusSet struct {
	Type     string    `json:"type"`
	Time     time.Time `json:"time"`
	Encoding string    `json:"encoding"` // of the files' names: .zst.age, .gpg, .gz or none
	Volumes  int       `json:"volumes"`
	Size     int64     `json:"size"`
	Damage   []string  `json:"damage,omitempty"`
}

type statusStray struct {
	Set    statusSet `json:"set"`
	Reason string    `json:"reason"`
}

type statusFile struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

func newStatus(c *collection.Collection, checked bool) *status {
	st := &status{
		Checked: checked, Chains: []statusChain{}, Incomplete: strays(c.Incomplete), Orphans: strays(c.Orphans),
		Leftovers: []statusFile{}, Foreign: append([]string{}, c.Foreign...),
	}
	for i := range c.Chains {
		ch := &c.Chains[i]
		out := statusChain{Start: ch.Start(), End: ch.End(), Size: ch.Size(), Unfit: ch.Unfit()}
		for _, s := range ch.Sets() {
			out.Sets = append(out.Sets, newStatusSet(&s))
			st.Damaged = st.Damaged || len(s.Damage) > 0
		}
		st.Chains = append(st.Chains, out)
	}
	for _, l := range c.Leftovers {
		st.Leftovers = append(st.Leftovers, statusFile{l.File.Name, l.Reason})
	}
	return st
}

func newStatusSet(s *collection.Set) statusSet {
	out := statusSet{Type: "incremental", Time: s.End, Encoding: s.Suffix, Volumes: len(s.Volumes), Size: s.Size(), Damage: s.Damage}
	if s.Full {
		out.Type = "full"
	}
	if out.Encoding == "" {
		out.Encoding = "none"
	}
	return out
}

func strays(list []collection.Stray) []statusStray {
	out := []statusStray{}
	for _, s := range list {
		out = append(out, statusStray{newStatusSet(&s.Set), s.Reason})
	}
	return out
}

func (a *app) printStatus(c *cli.Context, st *status) error {
	if c.Bool("json") {
		enc := json.NewEncoder(a.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(st)
	}
	w := &lines{w: a.stdout}
	if c.Bool("short") {
		st.short(w)
	} else {
		st.long(w)
	}
	return w.err
}

func (st *status) short(w *lines) {
	if len(st.Chains) == 0 {
		w.printf("%s: no backup", st.Address)
		return
	}
	last := st.Chains[len(st.Chains)-1]
	state := "ok"
	if st.Damaged {
		state = "DAMAGED"
	}
	w.printf("%s: %s, %s, newest %s, %s", st.Address, state, plural(st.sets(), "set"), stamp(last.End), progress.Bytes(st.size()))
}

func (st *status) sets() (n int) {
	for _, c := range st.Chains {
		n += len(c.Sets)
	}
	return n
}

func (st *status) size() (n int64) {
	for _, c := range st.Chains {
		n += c.Size
	}
	return n
}

func (st *status) long(w *lines) {
	w.printf("%s", st.Address)
	for _, c := range st.Chains {
		w.printf("\nChain of %s: %s, %s", stamp(c.Start), plural(len(c.Sets), "set"), progress.Bytes(c.Size))
		for _, s := range c.Sets {
			s.print(w)
		}
		for _, u := range c.Unfit {
			w.printf("  will not be extended: %s", u)
		}
	}
	if len(st.Chains) == 0 {
		w.printf("no complete backup")
	}
	for _, s := range append(st.Incomplete, st.Orphans...) {
		w.printf("\nNot usable: %s of %s, %s: %s", s.Set.Type, stamp(s.Set.Time), progress.Bytes(s.Set.Size), s.Reason)
	}
	for _, f := range st.Leftovers {
		w.printf("\nLeftover: %s: %s", progress.Escape(f.Name), f.Reason)
	}
	if n := len(st.Foreign); n > 0 {
		w.printf("\n%s of others, left alone", plural(n, "file"))
	}
	if !st.Checked && len(st.Chains) > 0 {
		w.printf("\nWithout the secret only names were looked at: missing last volumes do not show.")
	}
}

func (s statusSet) print(w *lines) {
	w.printf("  %-12s %s  %10s  %s  %s", s.Type, stamp(s.Time), progress.Bytes(s.Size), plural(s.Volumes, "volume"), s.Encoding)
	for _, d := range s.Damage {
		w.printf("    DAMAGED: %s", d)
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func cleanupApplet() applet {
	return applet{
		name: "cleanup", summary: "delete what unfinished backups left behind",
		flags: serverFlags(&cli.StringFlag{Name: "address"}, &cli.BoolFlag{Name: "simulate"}),
		run:   runCleanup,
	}
}

func runCleanup(a *app, c *cli.Context) (err error) {
	if c.NArg() > 0 || c.String("address") == "" {
		return usagef("give the --address to clean up, and nothing else")
	}
	r, err := a.registry()
	if err != nil {
		return err
	}
	lock, err := pidlock.Acquire(r.PathOr(backupLock, registry.BackupPID))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	cf, err := a.conf(c)
	if err != nil {
		return err
	}
	b, err := a.target(cf, c.String("address"), backends.Options{})
	if err != nil {
		return err
	}
	defer b.Close()
	coll, err := chain.List(a.ctx, b)
	if err != nil {
		return err
	}
	plan := coll.Cleanup()
	w := &lines{w: a.stdout}
	if !c.Bool("simulate") {
		if err := chain.Cleanup(a.ctx, b, plan, chain.Silent{}); err != nil {
			return err
		}
	}
	var size int64
	for _, d := range plan {
		size += d.File.Size
		w.printf("%s: %s", progress.Escape(d.File.Name), d.Reason)
	}
	verb := "deleted"
	if c.Bool("simulate") {
		verb = "would be deleted"
	}
	w.printf("%s, %s %s", plural(len(plan), "file"), progress.Bytes(size), verb)
	return w.err
}
