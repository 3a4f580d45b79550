package archive

import (
	"archive/tar"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// PAX records that carry what the stock format loses. Stock readers skip
// records they do not know; GNU.sparse.* is never written because Python's
// tarfile acts on it.
const (
	paxSize     = "TKLBAM.size"     // of the file, where the header's size is of a signature, delta or piece
	paxCtime    = "TKLBAM.ctime"    // seconds.nanoseconds
	paxInode    = "TKLBAM.inode"    // device:inode:links
	paxHardLink = "TKLBAM.hardlink" // path of the earlier entry
	paxSparse   = "TKLBAM.sparse"   // "1"
	paxDigest   = "TKLBAM.digest"   // block length:base64
	paxXattr    = "SCHILY.xattr."   // the prefix star, GNU tar and libarchive use
)

var typeflags = map[Type]byte{
	Regular:     tar.TypeReg,
	Directory:   tar.TypeDir,
	Symlink:     tar.TypeSymlink,
	Fifo:        tar.TypeFifo,
	CharDevice:  tar.TypeChar,
	BlockDevice: tar.TypeBlock,
}

// A PAX key ends at the first "="; GNU tar escapes those in names of
// extended attributes the same way.
var (
	escapeKey   = strings.NewReplacer("%", "%25", "=", "%3D")
	unescapeKey = strings.NewReplacer("%25", "%", "%3D", "=")
)

// entry reads a header back. The path is the caller's, from the name; a
// regular file's size is what our own record says, or unknown.
func entry(h *tar.Header, path string) (*Entry, error) {
	e := &Entry{
		Path:     path,
		Mode:     uint32(h.Mode) & 07777,
		UID:      h.Uid,
		GID:      h.Gid,
		User:     h.Uname,
		Group:    h.Gname,
		ModTime:  h.ModTime.UTC(),
		Linkname: h.Linkname,
		Major:    uint32(h.Devmajor),
		Minor:    uint32(h.Devminor),
		Size:     -1,
	}
	for t, flag := range typeflags {
		if flag == h.Typeflag {
			e.Type = t
		}
	}
	if e.Type == 0 {
		return nil, fmt.Errorf("entry %q: unsupported tar type %q", h.Name, h.Typeflag)
	}
	if strings.ContainsRune(e.Linkname, 0) {
		return nil, fmt.Errorf("entry %q: NUL in the link target", h.Name)
	}
	return e, readRecords(e, h)
}

func readRecords(e *Entry, h *tar.Header) (err error) {
	for key, value := range h.PAXRecords {
		switch {
		case key == paxSize:
			e.Size, err = strconv.ParseInt(value, 10, 64)
			if err == nil && e.Size < 0 {
				err = strconv.ErrRange
			}
		case key == paxCtime:
			e.ChangeTime, err = parseTime(value)
		case key == paxInode:
			_, err = fmt.Sscanf(value, "%d:%d:%d", &e.Device, &e.Inode, &e.Links)
		case key == paxHardLink:
			e.HardLink, err = CleanPath(value)
		case key == paxSparse:
			e.Sparse = value == "1"
		case key == paxDigest:
			e.Digest, err = parseDigest(value)
		case strings.HasPrefix(key, paxXattr):
			e.Xattrs = append(e.Xattrs, Xattr{unescapeKey.Replace(key[len(paxXattr):]), value})
		case strings.HasPrefix(key, "GNU.sparse."):
			err = fmt.Errorf("sparse tar forms are not part of the format")
		}
		if err != nil {
			return fmt.Errorf("entry %q: record %q: %w", h.Name, key, err)
		}
	}
	sortXattrs(e.Xattrs)
	return nil
}

func parseTime(s string) (time.Time, error) {
	sec, frac, _ := strings.Cut(s, ".")
	secs, err := strconv.ParseInt(sec, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	var nsec uint64
	if frac != "" {
		if nsec, err = strconv.ParseUint((frac + "000000000")[:9], 10, 32); err != nil {
			return time.Time{}, err
		}
	}
	return time.Unix(secs, int64(nsec)).UTC(), nil
}

// maxDigestBlock bounds the buffer that checking a digest takes.
const maxDigestBlock = 1 << 20

func parseDigest(s string) (d Digest, err error) {
	block, sum, _ := strings.Cut(s, ":")
	if d.BlockLen, err = strconv.Atoi(block); err != nil {
		return Digest{}, err
	}
	raw, err := base64.RawStdEncoding.DecodeString(sum)
	if err != nil {
		return Digest{}, err
	}
	if len(raw) != DigestLen || d.BlockLen < 1 || d.BlockLen > maxDigestBlock {
		return Digest{}, strconv.ErrRange
	}
	copy(d.Sum[:], raw)
	return d, nil
}

// CleanPath checks a path that comes from outside: relative, with no empty,
// "." or ".." component and no NUL. "" and "." are the root.
func CleanPath(p string) (string, error) {
	if p == "" || p == "." {
		return "", nil
	}
	for c := range strings.SplitSeq(p, "/") {
		if c == "" || c == "." || c == ".." || strings.IndexByte(c, 0) >= 0 {
			return "", fmt.Errorf("path %q: bad component %q", p, c)
		}
	}
	return p, nil
}
