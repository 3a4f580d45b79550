package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"tklbam/pkg/tree"
	"tklbam/pkg/userdb"
)

func mergeUserdbCommand() applet {
	return applet{name: "merge-userdb", run: runMergeUserdb}
}

func runMergeUserdb(a *app, c *cli.Context) error {
	if c.NArg() != 6 {
		return usagef("six files are needed: old-passwd old-group new-passwd new-group merged-passwd merged-group")
	}
	args := c.Args().Slice()
	var files [4][]byte
	for i := range files {
		var err error
		if files[i], err = os.ReadFile(args[i]); err != nil {
			return err
		}
	}
	merged, err := userdb.Merge(userdb.Files{Passwd: files[0], Group: files[1]}, userdb.Files{Passwd: files[2], Group: files[3]})
	if err != nil {
		return err
	}
	for _, note := range merged.Plan.Notes {
		fmt.Fprintln(a.stderr, "note:", note)
	}
	for i, data := range [][]byte{merged.Passwd, merged.Group} {
		err := replaceFile(args[len(files)+i], func(w io.Writer, _ ...tree.Identity) error {
			_, err := fmt.Fprintf(w, "%s\n", data) // these files always ended in a blank line
			return err
		})
		if err != nil {
			return err
		}
	}
	_, err = io.WriteString(a.stdout, userdb.FormatMaps(merged.UIDs, merged.GIDs))
	return err
}
