// Command rclone-serve-s3 is rclone with nothing but `serve s3` and the local file system behind it:
// rclone-serve-s3 serve s3 FOLDER. Each folder in FOLDER is a bucket.
package main

import (
	_ "github.com/rclone/rclone/backend/local"
	"github.com/rclone/rclone/cmd"
	_ "github.com/rclone/rclone/cmd/serve/s3"
)

func main() { cmd.Main() }
