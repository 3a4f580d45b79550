package pgsqlfs

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// A packing makes an archive for pg_restore of the files of a database.
type packing struct {
	root *os.Root
	dir  string               // of the database, below root
	keep func(*tocEntry) bool // the entries to load
	omit map[string]bool      // members of other entries
	need map[string]bool      // members that must be there
}

// pack writes the archive. Members are read as they are written. restore.sql
// is left out: no program reads it.
func (p *packing) pack(w io.Writer) error {
	archive := tar.NewWriter(w)
	manifest, err := open(p.root, path.Join(p.dir, manifestName))
	if err != nil {
		return err
	}
	defer manifest.Close()
	lines := bufio.NewScanner(manifest)
	for lines.Scan() {
		name := lines.Text()
		if name == scriptName || p.omit[name] || isNoise(name) {
			continue
		}
		if !isMember(name) {
			return fmt.Errorf("read %q: %q is no name of a member", p.dir+"/"+manifestName, name)
		}
		if err := p.member(archive, name); err != nil {
			return fmt.Errorf("load member %q: %w", name, err)
		}
		delete(p.need, name)
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read %q: %w", p.dir+"/"+manifestName, err)
	}
	for name := range p.need {
		return fmt.Errorf("read %q: it lacks member %q", p.dir+"/"+manifestName, name)
	}
	return archive.Close()
}

// isNoise says whether a line of a manifest is a message of the tar that the
// predecessor unpacked with, and no member.
func isNoise(line string) bool { return line == "" || strings.HasSuffix(line, "Permission denied") }

func (p *packing) member(w *tar.Writer, name string) error {
	f, err := open(p.root, path.Join(p.dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	if name == tocName {
		return p.toc(w, f)
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(memberHeader(name, info.Size())); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

// toc writes toc.dat with only the entries to load. Their number and length
// come before them, so the file is read twice more.
func (p *packing) toc(w *tar.Writer, f *os.File) error {
	count, size := 0, counter(0)
	_, err := rewriteTOC(&size, f, -1, func(e *tocEntry) bool {
		keep := p.keep(e)
		if keep {
			count++
		}
		return keep
	})
	if _, serr := f.Seek(0, io.SeekStart); err != nil || serr != nil {
		return errors.Join(err, serr)
	}
	if err := w.WriteHeader(memberHeader(tocName, int64(size))); err != nil {
		return err
	}
	_, err = rewriteTOC(w, f, count, p.keep)
	return err
}

// memberHeader is in the form that has sizes from 8 GB on as pg_restore reads
// them.
func memberHeader(name string, size int64) *tar.Header {
	return &tar.Header{Name: name, Size: size, Mode: 0o600, Typeflag: tar.TypeReg, Format: tar.FormatGNU}
}

// A counter counts the bytes written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
