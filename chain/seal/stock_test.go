package seal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// needs skips the test when a program is absent; where everything should be
// installed that is a failure.
func needs(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", program)
		}
		t.Skipf("%s is not installed", program)
	}
}

// run gives stdin to a program and returns its standard output.
func run(stdin []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s %q: %w: %s", name, args, err, &stderr)
	}
	return out, nil
}

// A gnupg runs gpg in a home of its own.
type gnupg struct{ home string }

func newGnuPG(t testing.TB) gnupg {
	needs(t, "gpg")
	home, err := os.MkdirTemp("", "gpg") // short: the agent's socket is in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := run(nil, "gpgconf", "--homedir", home, "--kill", "all"); err != nil {
			t.Log(err)
		}
		if err := os.RemoveAll(home); err != nil {
			t.Log(err)
		}
	})
	return gnupg{home}
}

// run gives gpg the secret on a descriptor of its own, as duplicity does.
func (g gnupg) run(stdin []byte, args ...string) ([]byte, error) {
	pass := filepath.Join(g.home, "pass")
	if err := os.WriteFile(pass, []byte(testSecret+"\n"), 0o600); err != nil {
		return nil, err
	}
	script := `exec gpg --homedir "$0" --batch --quiet --no-tty --pinentry-mode loopback --passphrase-fd 3 "$@" 3<"$0/pass"`
	return run(stdin, "sh", append([]string{"-c", script, g.home}, args...)...)
}

func TestGPGReadsOurs(t *testing.T) {
	g := newGnuPG(t)
	s := newSealer(t, GPG)
	data := append(text(300000), noise(300000)...)
	for _, n := range []int{0, 1, 505, 506, 511, 512, 8192, 65490, len(data)} {
		for _, block := range []int{100000, 1000} {
			out, err := g.run(sealBlocks(t, s, data[:n], block), "-d")
			if err != nil {
				t.Fatalf("%d by %d: %v", n, block, err)
			}
			sameData(t, fmt.Sprint(n), out, data[:n])
		}
	}
}

func TestGPGListsOurs(t *testing.T) {
	g := newGnuPG(t)
	for _, weak := range []bool{false, true} {
		s, err := NewSealer(Options{Encoding: GPG, Secret: []byte(testSecret), WeakSecret: weak})
		if err != nil {
			t.Fatal(err)
		}
		out, err := g.run(sealBlocks(t, s, text(200000), 50000), "--list-packets")
		if err != nil {
			t.Fatal(err)
		}
		count := "count 65536 (96)"
		if weak {
			count = "count 65011712 (255)"
		}
		for _, want := range []string{
			"symkey enc packet: version 4, cipher 7, aead 0,s2k 3, hash 8", count,
			"encrypted data packet", "mdc_method: 2", "compressed packet: algo=1",
			`mode b (62), created 0, name=""`,
		} {
			if !strings.Contains(string(out), want) {
				t.Errorf("no %q in:\n%s", want, out)
			}
		}
	}
}

// What is wrong with a file is wrong to gpg as well.
func TestGPGRefusesDamage(t *testing.T) {
	g := newGnuPG(t)
	stored := sealBlocks(t, newSealer(t, GPG), noise(100000), 50000)
	stored[len(stored)-1] ^= 1
	if _, err := g.run(stored, "-d"); err == nil {
		t.Error("gpg takes a message whose MDC is wrong")
	}
}

func TestOursReadsGPG(t *testing.T) {
	g := newGnuPG(t)
	o := newOpener()
	for _, args := range []string{
		"",
		"--cipher-algo=aes",
		"--cipher-algo AES192 --compress-algo zip",
		"--cipher-algo AES256 --compress-algo zlib",
		"--cipher-algo CAST5 --compress-algo bzip2",
		"--cipher-algo 3DES --compress-algo none",
		"--cipher-algo BLOWFISH -z 9",
		"--cipher-algo TWOFISH -z 0",
		"--s2k-mode 0",
		"--s2k-mode 1",
		"--s2k-mode 3 --s2k-count 65011712",
		"--s2k-digest-algo SHA256 --cipher-algo AES256",
		"--s2k-digest-algo SHA384",
		"--s2k-digest-algo SHA512",
		"--s2k-digest-algo SHA224 --cipher-algo AES256",
		"--s2k-digest-algo RIPEMD160 --cipher-algo AES256",
		"--s2k-digest-algo SHA1 --cipher-algo AES256 --s2k-mode 1",
		"--rfc4880 --textmode",
		"--openpgp",
		"--set-filename name --compress-level 1",
		"--chunk-size 10",
	} {
		for _, n := range []int{0, 600, 300000} {
			data := text(n)
			out, err := g.run(data, append([]string{"--s2k-count", "65536", "-c"}, strings.Fields(args)...)...)
			if err != nil {
				if strings.HasPrefix(args, "--chunk-size") {
					break // gpg 2.3 has it
				}
				t.Fatal(err)
			}
			got, err := open(o, out, GPG)
			if err != nil {
				t.Fatalf("%s, %d bytes: %v", args, n, err)
			}
			if strings.Contains(args, "textmode") {
				got = bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n"))
			}
			sameData(t, args, got, data)
		}
	}
}

// A message for a passphrase or the holder of a key has several session key
// packets, and the session key is encrypted in each.
func TestOursReadsGPGOfSeveralRecipients(t *testing.T) {
	g := newGnuPG(t)
	if _, err := g.run(nil, "--passphrase", "", "--quick-gen-key", "holder@example.org", "future-default", "default", "never"); err != nil {
		t.Fatal(err)
	}
	// AES256 is what gpg 2.2 says in its session key packet; with any other
	// cipher for the data it encrypts the session key with that instead, and
	// cannot read its own message by passphrase.
	out, err := g.run(text(5000), "--s2k-count", "65536", "--cipher-algo", "AES256", "--trust-model", "always",
		"-r", "holder@example.org", "-e", "-c")
	if err != nil {
		t.Fatal(err)
	}
	sameData(t, "message", mustOpen(t, newOpener(), out, GPG), text(5000))
	refusesOthers(t, OpenOptions{}, out, GPG)
	out, err = g.run(text(50), "--trust-model", "always", "-r", "holder@example.org", "-e")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(newOpener(), out, GPG); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a message without a passphrase: %v", err)
	}
}

// A file with a length known beforehand is written with definite lengths.
func TestOursReadsGPGOfFile(t *testing.T) {
	g := newGnuPG(t)
	name := filepath.Join(t.TempDir(), "content")
	for _, n := range []int{10, 1000, 100000} {
		data := noise(n)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, z := range []string{"0", "6"} {
			out, err := g.run(nil, "--s2k-count", "65536", "-z", z, "-o", "-", "-c", name)
			if err != nil {
				t.Fatal(err)
			}
			sameData(t, "file", mustOpen(t, newOpener(), out, GPG), data)
		}
	}
}

func TestGPGUnsupportedCipher(t *testing.T) {
	g := newGnuPG(t)
	out, err := g.run(text(100), "--s2k-count", "65536", "--cipher-algo", "CAMELLIA128", "-c")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(newOpener(), out, GPG); !errors.Is(err, errors.ErrUnsupported) || errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
}

// The messages of gpg without integrity protection are refused, and read
// when that is asked for.
func TestGPGWithoutMDC(t *testing.T) {
	g := newGnuPG(t)
	trusting := NewOpener([]byte(testSecret), OpenOptions{AllowNoMDC: true})
	for _, args := range []string{"", "--cipher-algo CAST5", "--cipher-algo BLOWFISH -z 0", "--s2k-mode 0 --compress-algo zip"} {
		for _, n := range []int{0, 10, 5000, 300000} {
			out, err := g.run(text(n), append([]string{"--rfc2440", "--s2k-count", "65536", "-c"}, strings.Fields(args)...)...)
			if err != nil {
				t.Skip("this gpg cannot write without MDC:", err)
			}
			if _, err := open(newOpener(), out, GPG); !errors.Is(err, ErrNoMDC) || errors.Is(err, ErrDamaged) {
				t.Fatalf("%s: %v", args, err)
			}
			sameData(t, args, mustOpen(t, trusting, out, GPG), text(n))
			if _, err := open(trusting, out[:len(out)-5], GPG); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s cut: %v", args, err)
			}
			refusesOthers(t, trusting.opts, out, GPG)
		}
	}
}

func TestGPGWrongSecret(t *testing.T) {
	g := newGnuPG(t)
	out, err := g.run(text(1000), "--s2k-count", "65536", "-c")
	if err != nil {
		t.Fatal(err)
	}
	refusesOthers(t, OpenOptions{}, out, GPG)
}

// runAge answers age's prompts on a terminal.
func runAge(t *testing.T, stdin string, in []byte, args string) ([]byte, error) {
	t.Helper()
	needs(t, "age")
	needs(t, "script")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "in"), in, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := run([]byte(stdin), "script", "-qec", fmt.Sprintf("cd '%s' && age %s -o out in", dir, args), "/dev/null"); err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "out"))
}

func TestAgeAndZstdReadOurs(t *testing.T) {
	needs(t, "zstd")
	s := newSealer(t, ZstdAge)
	for _, n := range []int{0, 1, 400000} {
		data := append(text(n/2), noise(n-n/2)...)
		frames, err := runAge(t, testSecret+"\n", sealBlocks(t, s, data, 100000), "-d")
		if err != nil {
			t.Fatal(err)
		}
		out, err := run(frames, "zstd", "-dc")
		if err != nil {
			t.Fatal(err)
		}
		sameData(t, fmt.Sprint(n), out, data)
	}
}

func TestOursReadsAgeAndZstd(t *testing.T) {
	needs(t, "zstd")
	data := append(text(300000), noise(300000)...)
	frames, err := run(data, "zstd", "-c", "-9", "--long=27")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := runAge(t, strings.Repeat(testSecret+"\n", 2), frames, "-p")
	if err != nil {
		t.Fatal(err)
	}
	sameData(t, "age -p", mustOpen(t, newOpener(), stored, ZstdAge), data)
}

func TestGzipToolsReadOurs(t *testing.T) {
	s := newSealer(t, Gzip)
	data := append(text(300000), noise(300000)...)
	python := "import gzip, sys; sys.stdout.buffer.write(gzip.GzipFile(fileobj=sys.stdin.buffer).read())"
	for _, tool := range [][]string{{"gzip", "-dc"}, {"zcat"}, {"python3", "-c", python}} {
		t.Run(tool[0], func(t *testing.T) {
			needs(t, tool[0])
			for _, n := range []int{0, 1, 1000, len(data)} {
				out, err := run(sealBlocks(t, s, data[:n], 70000), tool[0], tool[1:]...)
				if err != nil {
					t.Fatal(err)
				}
				sameData(t, fmt.Sprint(n), out, data[:n])
			}
		})
	}
}

func TestOursReadsGzip(t *testing.T) {
	needs(t, "gzip")
	for _, n := range []int{0, 1, 300000} {
		for _, level := range []string{"-1", "-9"} {
			out, err := run(text(n), "gzip", level, "-c")
			if err != nil {
				t.Fatal(err)
			}
			sameData(t, level, mustOpen(t, newOpener(), out, Gzip), text(n))
		}
	}
}

// joinCRC is what hash/crc32 computes over both strings.
func TestJoinCRC(t *testing.T) {
	data := noise(5000)
	for _, cut := range []int{0, 1, 2, 255, 256, 4096, 4999, 5000} {
		a, b := data[:cut], data[cut:]
		got := joinCRC(crc32.ChecksumIEEE(a), crc32.ChecksumIEEE(b), uint64(len(b)))
		if want := crc32.ChecksumIEEE(data); got != want {
			t.Errorf("cut at %d: %08x, want %08x", cut, got, want)
		}
	}
}

// Blocks longer than 4 GiB in total wrap the length of gzip, as they must.
func TestGzipLengthWraps(t *testing.T) {
	var b bytes.Buffer
	body := &gzipBody{w: &b}
	tail := binary.LittleEndian.AppendUint64(make([]byte, 4), 1<<32+5)
	if err := errors.Join(body.segment(tail), body.end(false)); err != nil {
		t.Fatal(err)
	}
	if got := binary.LittleEndian.Uint32(b.Bytes()[b.Len()-4:]); got != 5 {
		t.Errorf("length field %d", got)
	}
}

// Stock Duplicity reads the files it finds with gpg and Python's gzip, whose
// exit status and exceptions are all it has to notice a cut.
func TestToolsNoticeCut(t *testing.T) {
	needs(t, "gzip")
	stored := sealBlocks(t, newSealer(t, Gzip), text(10000), 1000)
	for _, n := range []int{len(stored) - 1, len(stored) - 8, len(stored) / 2, 12} {
		if _, err := run(stored[:n], "gzip", "-dc"); err == nil {
			t.Errorf("gzip takes %d of %d bytes", n, len(stored))
		}
	}
}
