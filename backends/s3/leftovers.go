package s3

import (
	"context"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
)

const (
	// leftoverAge is how old an upload in parts is that counts as a dead
	// run's: older than any that is under way.
	leftoverAge = 7 * 24 * time.Hour

	// leftoverPages bounds the listing of uploads, a thousand at a time.
	leftoverPages = 10
)

// abortLeftovers gives up the uploads in parts that killed runs have left:
// nothing lists their parts, which cost money. Other programs' uploads stay, by
// their names. It is a service: a server that refuses it, or has trouble with
// it, stops no backup.
func (t *target) abortLeftovers(ctx context.Context) {
	key, id := "", ""
	for range leftoverPages {
		page, err := t.client.ListMultipartUploads(ctx, t.bucket, t.prefix, key, id, "", 0)
		if err != nil {
			return
		}
		for _, u := range page.Uploads {
			if t.isLeftover(u) && t.client.AbortMultipartUpload(ctx, t.bucket, u.Key, u.UploadID) != nil {
				return
			}
		}
		key, id = page.NextKeyMarker, page.NextUploadIDMarker
		if !page.IsTruncated || key == "" {
			return
		}
	}
}

func (t *target) isLeftover(u minio.ObjectMultipartInfo) bool {
	name, found := strings.CutPrefix(u.Key, t.prefix)
	return found && isChainFile(name) && !u.Initiated.IsZero() && time.Since(u.Initiated) > leftoverAge
}
