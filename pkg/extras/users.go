package extras

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tklbam/pkg/atomicfile"
	"tklbam/pkg/userdb"
)

// userFile is a file of the user database.
type userFile struct {
	name string
	perm fs.FileMode
	data *[]byte
}

// userFiles are the files of a user database with their permissions. The
// predecessor kept only the first two.
func userFiles(db *userdb.Files) []userFile {
	return []userFile{
		{"passwd", 0o644, &db.Passwd}, {"group", 0o644, &db.Group},
		{"shadow", 0o600, &db.Shadow}, {"gshadow", 0o600, &db.GShadow},
		{"subuid", 0o644, &db.SubUID}, {"subgid", 0o644, &db.SubGID},
	}
}

// UserFiles returns the paths, below a root, of the files of its user
// database: what is merged, and never taken over as it is.
func UserFiles() []string {
	var paths []string
	for _, f := range userFiles(new(userdb.Files)) {
		paths = append(paths, "/etc/"+f.name)
	}
	return paths
}

// SystemUsers reads the user database of the system below root.
func SystemUsers(root string) (userdb.Files, error) {
	var db userdb.Files
	for _, f := range userFiles(&db) {
		data, err := os.ReadFile(filepath.Join(root, etcName, f.name))
		if err = set(f.data, data, err); err != nil {
			return db, fmt.Errorf("read user database: %w", err)
		}
	}
	return db, nil
}

// Users reads the user database that a backup has.
func (d Dir) Users() (userdb.Files, error) {
	var db userdb.Files
	for _, f := range userFiles(&db) {
		data, err := d.Read(filepath.Join(etcName, f.name))
		if err = set(f.data, data, err); err != nil {
			return db, fmt.Errorf("read user database of the backup: %w", err)
		}
	}
	return db, nil
}

// set keeps an absent file, nil, apart from an empty one.
func set(to *[]byte, data []byte, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if data == nil {
		data = []byte{}
	}
	*to = data
	return err
}

// SetUsers stores a user database.
func (d Dir) SetUsers(db userdb.Files) error {
	for _, f := range userFiles(&db) {
		if *f.data == nil {
			continue
		}
		if err := atomicfile.Write(d.Path(filepath.Join(etcName, f.name)), *f.data, f.perm); err != nil {
			return err
		}
	}
	return nil
}
