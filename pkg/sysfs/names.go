package sysfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Names are the names in one directory. A name costs its own bytes and five
// more, so a million of them are a matter of some 30 MB. The zero value is
// empty and ready for Read.
type Names struct {
	chunks [][]byte // each name after a byte with its length; none straddles two
	places []uint32 // chunk number and offset of every name
}

// A chunk's offsets take the low chunkBits of a place.
const (
	chunkBits = 16
	chunkSize = 1 << chunkBits
	maxChunks = 1 << (32 - chunkBits)
)

// ListBuffer is the length in bytes of the buffer that Read works with.
const ListBuffer = 64 << 10

// Read lists the directory that dir is a descriptor of (O_PATH will do) and
// sorts the names as bytes. "." and ".." are left out. It reuses the memory
// of an earlier listing. On an error the names are undefined.
func (n *Names) Read(dir int, buf []byte) error {
	fd, err := OpenRead(dir, ".", unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	n.Reset()
	count := 0
	for {
		got, err := unix.ReadDirent(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if got <= 0 {
			break
		}
		added, err := n.parse(buf[:got])
		if err != nil {
			return err
		}
		count += added
	}
	n.index(count)
	return nil
}

// Len returns how many names there are.
func (n *Names) Len() int { return len(n.places) }

// At returns the i-th name in order. The bytes are valid until the next Read.
func (n *Names) At(i int) []byte { return n.name(n.places[i]) }

func (n *Names) name(place uint32) []byte {
	chunk := n.chunks[place>>chunkBits]
	at := place & (chunkSize - 1)
	return chunk[at+1 : at+1+uint32(chunk[at])]
}

// Reset empties n. It keeps the first chunk, which most directories get by
// with, and lets go of the others.
func (n *Names) Reset() {
	n.places = n.places[:0]
	if len(n.chunks) > 0 {
		clear(n.chunks[1:])
		n.chunks = append(n.chunks[:0], n.chunks[0][:0])
	}
}

// The layout of struct linux_dirent64, see getdents64(2).
const (
	direntLen  = 16 // offset of the record's length
	direntName = 19 // offset of the name, which a NUL ends
)

// parse takes the names from the records in buf and counts them.
func (n *Names) parse(buf []byte) (int, error) {
	count := 0
	for len(buf) >= direntName {
		size := int(binary.NativeEndian.Uint16(buf[direntLen:]))
		if size < direntName || size > len(buf) {
			return 0, fmt.Errorf("directory record of %d bytes: %w", size, unix.EIO)
		}
		name, _, _ := bytes.Cut(buf[direntName:size], []byte{0})
		buf = buf[size:]
		if len(name) == 0 || len(name) > 255 || string(name) == "." || string(name) == ".." {
			continue
		}
		if err := n.add(name); err != nil {
			return 0, err
		}
		count++
	}
	return count, nil
}

func (n *Names) add(name []byte) error {
	last := len(n.chunks) - 1
	if last < 0 || len(n.chunks[last])+1+len(name) > chunkSize {
		if len(n.chunks) == maxChunks {
			return fmt.Errorf("directory with more than %d MiB of names: %w", maxChunks*chunkSize>>20, unix.EFBIG)
		}
		var chunk []byte
		if last >= 0 {
			chunk = make([]byte, 0, chunkSize)
		}
		n.chunks = append(n.chunks, chunk)
		last++
	}
	n.chunks[last] = append(append(n.chunks[last], byte(len(name))), name...)
	return nil
}

// index finds the places of all names, now that their number is known, and
// sorts them.
func (n *Names) index(count int) {
	n.places = slices.Grow(n.places[:0], count)
	for i, chunk := range n.chunks {
		for at := 0; at < len(chunk); at += 1 + int(chunk[at]) {
			n.places = append(n.places, uint32(i)<<chunkBits|uint32(at))
		}
	}
	slices.SortFunc(n.places, func(a, b uint32) int { return bytes.Compare(n.name(a), n.name(b)) })
}
