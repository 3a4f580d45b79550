package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// The tools as the tables name them.
const (
	nameOurs      = "tklbam"
	nameOursGPG   = "tklbam-gpg"
	nameDuplicity = "duplicity"
	nameRestic    = "restic"
	nameBorg      = "borg"
)

var toolNames = []string{nameOurs, nameOursGPG, nameDuplicity, nameRestic, nameBorg}

// secret is what every tool but ours, which makes its own, encrypts with.
const secret = "correct horse battery staple"

// installed are the tools to measure. One that is missing is said to be.
func (b *bench) installed() []*tool {
	all := []*tool{ours(nameOurs, b.tklbam), ours(nameOursGPG, b.tklbam, "--encryption=gpg"), duplicity(), restic(), borg()}
	have := found(all, b.tools)
	if len(have) < len(b.tools) {
		b.say("only %d of %d tools are installed", len(have), len(b.tools))
	}
	return have
}

// isOurs reports whether a tool is a form of tklbam.
func isOurs(tool string) bool { return tool == nameOurs || tool == nameOursGPG }

func ours(name, program string, options ...string) *tool {
	address := func(s *subject) string { return "--address=file://" + s.repo() }
	log := func(s *subject) string { return "--logfile=" + s.path("log") }
	backup := func(s *subject) []string {
		return append([]string{"backup", "--raw-upload=" + s.tree, address(s), log(s)}, options...)
	}
	return &tool{
		name: name, program: program, version: []string{"--version"}, repeat: true,
		env: func(s *subject) []string {
			return []string{"TKLBAM_REGISTRY=" + s.path("registry"), "TKLBAM_CONF=" + s.path("conf")}
		},
		setup: func(s *subject, run func(...string) error) error {
			conf := fmt.Sprintf("cache-dir %s\n", s.cache())
			if err := os.WriteFile(filepath.Join(s.path("conf"), "conf"), []byte(conf), 0o600); err != nil {
				return err
			}
			return run("init", "--solo")
		},
		full: backup, more: backup,
		restore: func(s *subject) []string {
			return []string{"restore", "--raw-download=" + s.target(), address(s), log(s)}
		},
		restored: (*subject).target,
		busy:     "another backup is running",
	}
}

// duplicity is run as TKLBAM runs it.
func duplicity() *tool {
	backup := func(kind string) func(s *subject) []string {
		return func(s *subject) []string {
			return []string{kind, "--volsize", "25", "--archive-dir", s.cache(), "--gpg-options=--cipher-algo=aes",
				"--allow-source-mismatch", s.tree, "file://" + s.repo()}
		}
	}
	return &tool{
		name: nameDuplicity, program: "duplicity", version: []string{"--version"},
		env:   func(*subject) []string { return []string{"PASSPHRASE=" + secret} },
		setup: func(*subject, func(...string) error) error { return nil },
		full:  backup("full"), more: backup("incremental"),
		restore: func(s *subject) []string {
			return []string{"restore", "--archive-dir", s.cache(), "--gpg-options=--cipher-algo=aes",
				"--allow-source-mismatch", "file://" + s.repo(), s.target()}
		},
		restored: (*subject).target,
	}
}

func restic() *tool {
	backup := func(s *subject) []string { return []string{"backup", s.tree} }
	return &tool{
		name: nameRestic, program: "restic", version: []string{"version"}, repeat: true,
		env: func(s *subject) []string {
			return []string{"RESTIC_REPOSITORY=" + s.repo(), "RESTIC_PASSWORD_FILE=" + s.path("password"), "RESTIC_CACHE_DIR=" + s.cache()}
		},
		setup: func(s *subject, run func(...string) error) error {
			if err := os.WriteFile(s.path("password"), []byte(secret), 0o600); err != nil {
				return err
			}
			return run("init")
		},
		full: backup, more: backup,
		restore:  func(s *subject) []string { return []string{"restore", "latest", "--target", s.target()} },
		restored: insideTarget,
	}
}

func borg() *tool {
	archive := func(s *subject) string { return fmt.Sprintf("::%d", s.sessions) }
	backup := func(s *subject) []string { return []string{"create", archive(s), s.tree} }
	return &tool{
		name: nameBorg, program: "borg", version: []string{"--version"},
		env: func(s *subject) []string {
			return []string{"BORG_REPO=" + s.repo(), "BORG_PASSPHRASE=" + secret, "BORG_BASE_DIR=" + s.cache()}
		},
		setup: func(s *subject, run func(...string) error) error {
			return run("init", "--encryption=repokey-blake2")
		},
		full: backup, more: backup,
		restore:  func(s *subject) []string { return []string{"extract", archive(s)} }, // into the directory it runs in
		restored: insideTarget,
	}
}

// insideTarget is where a tool that keeps absolute paths restores the tree to.
func insideTarget(s *subject) string { return filepath.Join(s.target(), s.tree) }
