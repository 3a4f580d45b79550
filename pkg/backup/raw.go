// Package backup is the workflow of tklbam-backup: it turns a configuration
// into a session on a chain.
package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"tklbam/chain"
	"tklbam/chain/archive"
	"tklbam/chain/seal"
	"tklbam/chain/timeexpr"
	"tklbam/pkg/tree"
)

// Options are those of a session.
type Options struct {
	Dir        string          // to back up
	Select     []tree.Selected // what of it; empty for all
	Store      chain.Store
	Address    string // of the store, without secrets: names its cache
	Secret     []byte
	WeakSecret bool
	Encoding   seal.Encoding // of a chain to be started
	Frequency  timeexpr.Frequency
	VolumeSize int64  // bytes
	CacheDir   string // holds a cache for every target
	SkipDirs   []string
	NoResume   bool
	Simulate   bool
	Estimate   bool                   // count the tree beforehand, for the time left
	Parallel   int                    // volumes on their way at once; 0 for the default
	Sparse     func(path string) bool // see chain.BackupOptions; may be nil
	Report     chain.Reporter
}

// Raw backs a directory up as it is: no profile, no databases, no packages.
func Raw(ctx context.Context, o Options) (*chain.Summary, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	if st, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !st.IsDir() {
		return nil, fmt.Errorf("%q is not a directory", dir)
	}
	cache := TargetCache(o.CacheDir, o.Address)
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return nil, fmt.Errorf("make cache directory: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	o.Dir, o.SkipDirs = dir, append(o.SkipDirs, o.CacheDir)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.Estimate {
		go o.estimate(ctx)
	}
	return chain.Backup(ctx, chain.BackupOptions{
		Store: o.Store, Secret: o.Secret, WeakSecret: o.WeakSecret,
		Encoding: o.Encoding, Frequency: o.Frequency, VolumeSize: o.VolumeSize,
		Cache: cache, Hostname: host, Localdir: dir,
		NoResume: o.NoResume, Simulate: o.Simulate, Report: o.Report, Clock: time.Now,
		Parallel: o.Parallel, Sparse: o.Sparse,
		Scan: func() (chain.Source, error) {
			src, err := newSource(dir, o.Select, o.SkipDirs, o.Report)
			if err != nil {
				return nil, err
			}
			return source{src}, nil
		},
	})
}

// TargetCache is the directory below cacheDir for one target.
func TargetCache(cacheDir, address string) string {
	sum := sha256.Sum256([]byte(address))
	return filepath.Join(cacheDir, hex.EncodeToString(sum[:8]))
}

// newSource scans dir, but for the session's own directories and a target
// within: they change under the scan.
func newSource(dir string, selected []tree.Selected, skip []string, rep chain.Reporter) (*tree.Source, error) {
	own, err := identities(skip)
	if err != nil {
		return nil, err
	}
	return tree.NewSource(tree.Options{
		Root: dir, Select: selected, SkipDirs: own,
		Warn: func(path string, err error) { rep.Problem(chain.Problem{Path: path, Err: err}) },
	})
}

// estimate counts the tree, ahead of the session. What it can't count the
// session will report.
func (o *Options) estimate(ctx context.Context) {
	src, err := newSource(o.Dir, o.Select, o.SkipDirs, chain.Silent{})
	if err != nil {
		return
	}
	defer src.Close()
	var files, bytes int64
	for {
		node, err := src.Next(ctx)
		if errors.Is(err, io.EOF) {
			o.Report.Total(files, bytes)
			return
		}
		if err != nil {
			return
		}
		files++
		if node.Err == nil && node.Entry.Type == archive.Regular {
			bytes += node.Entry.Size
		}
	}
}

// source fits a scan to a session.
type source struct{ *tree.Source }

func (s source) Next(ctx context.Context) (chain.Node, error) {
	n, err := s.Source.Next(ctx)
	return chain.Node{Entry: n.Entry, Err: n.Err}, err
}

// Open opens what is at the entry's path now: most programs save a file by
// putting another in its place, which is as good.
func (s source) Open(e *archive.Entry) (chain.Content, error) {
	f, err := s.Source.Open(e)
	if errors.Is(err, tree.ErrChanged) {
		if now, serr := s.Stat(e.Path); serr == nil && now.Type == archive.Regular {
			*e = *now
			f, err = s.Source.Open(e)
		}
	}
	if err != nil {
		return nil, err
	}
	if err := f.Refresh(e); err != nil {
		f.Close()
		return nil, err
	}
	return content{f, e}, nil
}

func (s source) Close() error {
	s.Source.Close()
	return nil
}

type content struct {
	*tree.File
	entry *archive.Entry
}

func (c content) Changed() (changed, racy bool, err error) {
	changed, err = c.File.Changed()
	return changed, tree.Racy(c.entry, c.Opened()), err
}

func (c content) Close() error {
	c.File.Close()
	return nil
}
