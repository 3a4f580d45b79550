package hooks

import (
	"slices"
	"strings"
)

// An Environment is what hooks learn from variables; "" and false leave one
// unset. In state Error there are also TKLBAM_ERROR_STEP, the step that
// failed, and TKLBAM_ERROR_MESSAGE, with what.
type Environment struct {
	ProfileID   string // TKLBAM_PROFILE_ID: of this system's profile
	BackupSkip  Skips  // TKLBAM_BACKUP_SKIP_FILES, …_DATABASE, …_PACKAGES: yes
	RestoreSkip Skips  // TKLBAM_RESTORE_SKIP_FILES, …_DATABASE, …_PACKAGES: yes

	// On restore, as soon as they are known.
	ExtractPath      string // TKLBAM_BACKUP_EXTRACT_PATH: directory of the backup's extract
	RestoreProfileID string // TKLBAM_RESTORE_PROFILE_ID: of the system that was backed up
}

// Skips are the parts that a backup or restore leaves out.
type Skips struct {
	Files, Database, Packages bool
}

// maxValue bounds a variable's value in bytes: the system takes 128 KB.
const maxValue = 16 << 10

type variable struct{ name, value string }

func (e Environment) variables() []variable {
	return []variable{
		{"TKLBAM_PROFILE_ID", e.ProfileID},
		{"TKLBAM_BACKUP_SKIP_FILES", yes(e.BackupSkip.Files)},
		{"TKLBAM_BACKUP_SKIP_DATABASE", yes(e.BackupSkip.Database)},
		{"TKLBAM_BACKUP_SKIP_PACKAGES", yes(e.BackupSkip.Packages)},
		{"TKLBAM_RESTORE_SKIP_FILES", yes(e.RestoreSkip.Files)},
		{"TKLBAM_RESTORE_SKIP_DATABASE", yes(e.RestoreSkip.Database)},
		{"TKLBAM_RESTORE_SKIP_PACKAGES", yes(e.RestoreSkip.Packages)},
		{"TKLBAM_BACKUP_EXTRACT_PATH", e.ExtractPath},
		{"TKLBAM_RESTORE_PROFILE_ID", e.RestoreProfileID},
	}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

// environ returns the whole environment for a call. A variable of ours that
// this process inherited, perhaps from a hook that called it, says nothing
// about this call.
func (h *Hooks) environ(c Call) []string {
	vars := h.Environment.variables()
	vars = append(vars,
		variable{"TKLBAM_ERROR_STEP", c.Failure.Step},
		variable{"TKLBAM_ERROR_MESSAGE", c.Failure.Message})
	if c.State == Inspect {
		vars = append(vars, variable{"PWD", c.Extras})
	}
	env := slices.DeleteFunc(slices.Clone(h.Environ), func(s string) bool {
		name, _, _ := strings.Cut(s, "=")
		return slices.ContainsFunc(vars, func(v variable) bool { return v.name == name })
	})
	for _, v := range vars {
		if v.value != "" {
			env = append(env, v.name+"="+presentable(v.value))
		}
	}
	return env
}

// presentable makes a value of any text, which error messages may quote from
// anywhere.
func presentable(s string) string {
	if len(s) > maxValue {
		s = strings.ToValidUTF8(s[:maxValue], "") + "…"
	}
	return strings.ReplaceAll(s, "\x00", "")
}
