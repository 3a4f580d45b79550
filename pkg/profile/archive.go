package profile

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"
)

// maxArchive bounds an archive in bytes, uncompressed.
const maxArchive = 1 << 30

// ArchiveSource is a profile as the Hub serves it: a tar.gz with the parts at
// its top, "./" before them or not. It is not trusted: a path that leads
// outside, a part twice or one that is no regular file is an error, and so is
// an archive out of all proportion. Files of other names are passed over.
func ArchiveSource(id ID, timestamp time.Time, r io.Reader) Source {
	return Source{ID: id, Timestamp: timestamp, parts: func(ctx context.Context, put putter) error {
		if err := readArchive(ctx, r, put); err != nil {
			return fmt.Errorf("read profile archive: %w", err)
		}
		return nil
	}}
}

func readArchive(ctx context.Context, r io.Reader, put putter) error {
	zip, err := gzip.NewReader(&cancelled{ctx, r})
	if err != nil {
		return err
	}
	body := &bounded{zip, maxArchive}
	if err := readTar(body, put); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, body) // to where the checksum is
	return err
}

func readTar(r io.Reader, put putter) error {
	for members := tar.NewReader(r); ; {
		h, err := members.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		part, err := memberPart(h)
		if err != nil {
			return fmt.Errorf("member %q: %w", h.Name, err)
		}
		if part == "" {
			continue
		}
		if err := put(part, h.Mode&0o111 != 0, members); err != nil {
			return err
		}
	}
}

// memberPart returns the part of a profile that a tar member is, "" if none.
func memberPart(h *tar.Header) (string, error) {
	name, err := memberName(h.Name)
	if err != nil {
		return "", err
	}
	switch h.Typeflag {
	case tar.TypeDir, tar.TypeXGlobalHeader:
		return "", nil
	case tar.TypeReg:
	default:
		return "", errors.New("it is neither a regular file nor a directory")
	}
	if limitOf(name) == 0 {
		return "", nil
	}
	return name, nil
}

// memberName strips what writers of tar put around a relative path.
func memberName(name string) (string, error) {
	switch {
	case strings.HasPrefix(name, "/"):
		return "", errors.New("its path is absolute")
	case strings.ContainsRune(name, 0):
		return "", errors.New("its path contains a zero byte")
	}
	for component := range strings.SplitSeq(name, "/") {
		if component == ".." {
			return "", errors.New("its path leads upwards")
		}
	}
	return path.Clean(name), nil
}

// A bounded reader is an error when there is more to read than it may return.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		return 0, errors.New("it is too large")
	}
	return n, err
}

// A cancelled reader reads until its context ends.
type cancelled struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelled) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
