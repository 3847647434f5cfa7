package local

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gobwas/glob"
	"github.com/pulumi/pulumi-go-provider/infer/types"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// collect reads the files that the command was asked to return.
func (s *Settings) collect() (Files, error) {
	var files Files
	if s.AssetPaths != nil {
		found, err := s.match(*s.AssetPaths)
		if err != nil {
			return files, err
		}
		assets := map[string]*types.AssetOrArchive{}
		for path, asset := range found {
			assets[path] = &types.AssetOrArchive{Asset: asset}
		}
		files.Assets = &assets
	}
	if s.ArchivePaths != nil {
		found, err := s.match(*s.ArchivePaths)
		if err != nil {
			return files, err
		}
		members := map[string]any{}
		for path, asset := range found {
			members[path] = asset
		}
		if files.Archive, err = resource.NewAssetArchive(members); err != nil {
			return files, err
		}
	}
	return files, nil
}

// match finds files below the directory by globs in their order; one that starts with `!` takes out again.
func (s *Settings) match(patterns []string) (map[string]*resource.Asset, error) {
	dir := "."
	if s.Dir != nil {
		dir = *s.Dir
	}
	globs := make([]glob.Glob, len(patterns))
	for i, pattern := range patterns {
		var err error
		if globs[i], err = glob.Compile(strings.TrimPrefix(pattern, "!"), '/'); err != nil {
			return nil, fmt.Errorf("glob %q: %w", pattern, err)
		}
	}
	found := map[string]*resource.Asset{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		taken := false
		for i, g := range globs {
			if g.Match(path) {
				taken = !strings.HasPrefix(patterns[i], "!")
			}
		}
		if taken {
			found[path], err = resource.NewPathAsset(filepath.Join(dir, path))
		}
		return err
	})
	return found, err
}
