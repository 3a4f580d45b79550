package s3

import (
	"fmt"
	"slices"
	"strings"

	"tklbam/backends"
)

// classes are the storage classes that PutObject takes at Amazon (API
// reference, x-amz-storage-class). The files of the first two can't be read
// before they are restored, which takes hours.
var classes = []string{
	"GLACIER", "DEEP_ARCHIVE",
	"STANDARD", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "REDUCED_REDUNDANCY",
	"EXPRESS_ONEZONE", "OUTPOSTS", "SNOW",
}

const archives = 2

// checkClass refuses a class that the service can't know. Those of others than
// Amazon have any names.
func checkClass(class string, atAmazon bool) error {
	isName := strings.Trim(class, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == ""
	if class == "" || slices.Contains(classes, class) || !atAmazon && isName && len(class) <= backends.MaxName {
		return nil
	}
	return fmt.Errorf("storage class %.40q is none of %s", class, strings.Join(classes, ", "))
}

// storageClass returns the class for a file. The files that are not volumes
// (".difftar") have to be read for the next backup.
func (o Options) storageClass(name string) string {
	if slices.Contains(classes[:archives], o.StorageClass) && !(isChainFile(name) && strings.Contains(name, ".difftar")) {
		return ""
	}
	return o.StorageClass
}

// isChainFile reports whether a name is of the form that backups have.
func isChainFile(name string) bool {
	return strings.HasPrefix(name, "duplicity-") && backends.ValidName(name)
}
