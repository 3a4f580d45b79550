package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOtherAppliance: the backup of one appliance is not restored onto another
// one without a question.
func TestOtherAppliance(t *testing.T) {
	needsSystems(t)
	m := newMachine(t, "appliance", tempDir(t), repository(t, "e2e-lib"))
	version := func(of string) { m.write("/etc/turnkey_version", "turnkey-"+of+"-18.1-bookworm-amd64\n") }
	version("wordpress")
	m.quiet("tklbam-init", "--solo")
	m.write("/var/lib/tklbam/profile/profile_id", m.read("/etc/turnkey_version")) // as the Hub's profile has it
	m.write("/srv/data", "data\n")
	m.quiet("tklbam-backup", toDisk)
	version("lamp")
	ok(t, os.Remove(m.path("/srv/data")))
	words := []string{"INCOMPATIBLE", "WORDPRESS appliance", "LAMP appliance"}
	m.fails(10, words, "tklbam-restore", toDisk, "--noninteractive")
	m.fails(1, words, "tklbam-restore", toDisk) // there is nobody to answer
	m.lacks("/srv/data", "/var/backups/tklbam-rollback")
	says(t, m.typed("no\n", "tklbam-restore "+toDisk+" || exit 0"), 0, "nothing was restored")
	m.lacks("/srv/data")
	says(t, m.typed("yes\n", "tklbam-restore "+toDisk), 0, "We're done")
	m.holds("/srv/data", "data\n")
	m.rolledBack()
	m.lacks("/srv/data")
	m.restored(toDisk, "--force")
	m.holds("/srv/data", "data\n")
	m.holds("/etc/turnkey_version", "turnkey-lamp-18.1-bookworm-amd64\n")
}

// TestInterruptedBackup: a backup of the system that was killed goes on when
// it is run again, and is not ruined by a simulation in between.
func TestInterruptedBackup(t *testing.T) {
	m, disk := newLone(t)
	g := newGardener(t, 301)
	ok(t, os.WriteFile(m.path("/srv/big"), g.noise(bigSize), 0o644))
	stored := func() bool {
		volumes, err := filepath.Glob(filepath.Join(disk, "tklbam/backup/*difftar*"))
		ok(t, err)
		return len(volumes) >= 3
	}
	args := []string{"tklbam-backup", toDisk, "--volsize=2"}
	if !m.killedWhen(stored, args...) {
		t.Fatal("the backup was not killed")
	}
	m.fails(1, []string{"interrupted", "--disable-resume"}, "tklbam-backup", "--simulate")
	r := m.quiet(args...)
	says(t, r, 0, "going on with the interrupted backup", "Resumed")
	m.lacks("/TKLBAM")
	m.fails(1, []string{"no interrupted backup"}, "tklbam-backup", "--resume")

	m.quiet("tklbam-backup", toDisk, "--volsize=2", "--json") // it is complete
	m.quiet("tklbam-restore", toDisk, "--raw-download=/mnt/otherdisk/out")
	sameBytes(t, filepath.Join(disk, "out/srv/big"), m.path("/srv/big"))
	list, err := os.ReadFile(filepath.Join(disk, "out/TKLBAM/fsdelta-olist"))
	if err != nil || !strings.Contains(string(list), "/srv/big\n") {
		t.Errorf("the list of files is %q, %v", list, err)
	}
}
