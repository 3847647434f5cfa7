package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/pkg/sftp"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi-go-provider/infer/types"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// CopyToRemote is the resource.
type CopyToRemote struct{}

// CopyInputs are the inputs of the resource.
type CopyInputs struct {
	Connection *Connection          `pulumi:"connection"        provider:"secret"`
	Triggers   *[]any               `pulumi:"triggers,optional" provider:"replaceOnChanges"`
	Source     types.AssetOrArchive `pulumi:"source"`
	RemotePath string               `pulumi:"remotePath"`
}

// Annotate describes the inputs in the schema.
func (in *CopyInputs) Annotate(a infer.Annotator) {
	a.Describe(&in.Connection, "How to reach the host.")
	a.Describe(&in.Triggers, "Values of any type; when one changes, the resource is replaced.")
	a.Describe(&in.Source, "An asset or archive. Archives are copied as they are, directories with all they hold.")
	a.Describe(&in.RemotePath, "Where to copy to. Into it, when it is a directory; parents are made.")
}

// CopyOutputs are the state of the resource.
type CopyOutputs struct{ CopyInputs }

var (
	_ infer.CustomCheck[CopyInputs]               = (*CopyToRemote)(nil)
	_ infer.CustomUpdate[CopyInputs, CopyOutputs] = (*CopyToRemote)(nil)
)

// Annotate describes the resource in the schema.
func (c *CopyToRemote) Annotate(a infer.Annotator) { a.Describe(&c, "A file or directory on a host.") }

// Check wants exactly one source.
func (*CopyToRemote) Check(ctx context.Context, req infer.CheckRequest) (infer.CheckResponse[CopyInputs], error) {
	in, failures, err := infer.DefaultCheck[CopyInputs](ctx, req.NewInputs)
	source, given := req.NewInputs.GetOk("source")
	if known := given && !source.IsComputed(); err == nil && known &&
		(in.Source.Asset == nil) == (in.Source.Archive == nil) {
		failures = append(failures, p.CheckFailure{Property: "source", Reason: "must be one asset or one archive"})
	}
	return infer.CheckResponse[CopyInputs]{Inputs: in, Failures: failures}, err
}

// Create copies.
func (*CopyToRemote) Create(
	ctx context.Context, req infer.CreateRequest[CopyInputs],
) (infer.CreateResponse[CopyOutputs], error) {
	id, err := resource.NewUniqueHex("", idBytes, 0)
	if err == nil && !req.DryRun {
		err = req.Inputs.copy(ctx)
	}
	return infer.CreateResponse[CopyOutputs]{ID: id, Output: CopyOutputs{req.Inputs}}, err
}

// Update copies again when what is copied, where to or to which host has changed; not for another way there.
func (*CopyToRemote) Update(
	ctx context.Context, req infer.UpdateRequest[CopyInputs, CopyOutputs],
) (infer.UpdateResponse[CopyOutputs], error) {
	before, now := req.State.CopyInputs, req.Inputs
	var err error
	if same := before.hash() == now.hash() && before.RemotePath == now.RemotePath &&
		before.Connection.Host == now.Connection.Host; !same && !req.DryRun {
		err = now.copy(ctx)
	}
	return infer.UpdateResponse[CopyOutputs]{Output: CopyOutputs{now}}, err
}

func (in *CopyInputs) hash() string {
	if in.Source.Archive != nil {
		return in.Source.Archive.Hash
	}
	return in.Source.Asset.Hash
}

func (in *CopyInputs) copy(ctx context.Context) error {
	client, err := in.Connection.Dial(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	server, err := sftp.NewClient(client)
	if err != nil {
		return fmt.Errorf("start SFTP on %s: %w", in.Connection.Host, err)
	}
	defer server.Close()
	target := target{server}
	if archive := in.Source.Archive; archive != nil {
		err = target.putArchive(archive, in.RemotePath)
	} else {
		err = target.putAsset(in.Source.Asset, in.RemotePath)
	}
	if err != nil {
		return fmt.Errorf("copy to %s:%s: %w", in.Connection.Host, in.RemotePath, err)
	}
	return nil
}

// target writes to a host.
type target struct{ *sftp.Client }

func (t target) isDir(name string) (bool, error) {
	info, err := t.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.IsDir(), err
}

func (t target) put(content io.Reader, name string) error {
	if err := t.MkdirAll(path.Dir(name)); err != nil {
		return fmt.Errorf("make the parents of %s: %w", name, err)
	}
	file, err := t.Create(name)
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	if _, err = file.ReadFrom(content); err != nil {
		_ = file.Close()
		return fmt.Errorf("write %s: %w", name, err)
	}
	return file.Close()
}

// putFile copies content to name, or into it under base when it is a directory.
func (t target) putFile(content io.Reader, base, name string) error {
	dir, err := t.isDir(name)
	if err != nil {
		return err
	}
	if dir && base == "" {
		return errors.New("it is a directory and a text asset has no name of its own: give the file's path")
	}
	if dir {
		name = path.Join(name, base)
	}
	return t.put(content, name)
}

func (t target) putAsset(asset *resource.Asset, name string) error {
	blob, err := asset.Read()
	if err != nil {
		return fmt.Errorf("read the source: %w", err)
	}
	defer blob.Close()
	base := ""
	if asset.IsPath() {
		base = filepath.Base(asset.Path)
	} else if asset.IsURI() {
		base = path.Base(asset.URI)
	}
	return t.putFile(blob, base, name)
}

func (t target) putArchive(archive *resource.Archive, name string) error {
	if archive.IsPath() {
		info, err := os.Stat(archive.Path)
		if err != nil {
			return fmt.Errorf("read the source: %w", err)
		}
		if info.IsDir() {
			if !strings.HasSuffix(archive.Path, "/") { // as rsync: with a slash only what is in it
				name = path.Join(name, filepath.Base(archive.Path))
			}
			return t.putDir(archive.Path, name)
		}
		file, err := os.Open(archive.Path)
		if err != nil {
			return fmt.Errorf("read the source: %w", err)
		}
		defer file.Close()
		return t.putFile(file, filepath.Base(archive.Path), name)
	}
	if archive.IsURI() {
		_, content, err := archive.ReadSourceArchive()
		if err != nil {
			return fmt.Errorf("read the source: %w", err)
		}
		defer content.Close()
		return t.putFile(content, path.Base(archive.URI), name)
	}
	return t.putMembers(archive, name)
}

func (t target) putDir(source, name string) error {
	if err := t.MkdirAll(name); err != nil {
		return err
	}
	return filepath.WalkDir(source, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(source, file)
		if err != nil {
			return err
		}
		to := path.Join(name, filepath.ToSlash(relative))
		if entry.IsDir() {
			return t.MkdirAll(to)
		}
		content, err := os.Open(file)
		if err != nil {
			return err
		}
		defer content.Close()
		return t.put(content, to)
	})
}

func (t target) putMembers(archive *resource.Archive, name string) error {
	if err := t.MkdirAll(name); err != nil {
		return err
	}
	reader, err := archive.Open()
	if err != nil {
		return fmt.Errorf("read the source: %w", err)
	}
	defer reader.Close()
	for {
		member, blob, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the source: %w", err)
		}
		err = t.put(blob, path.Join(name, member))
		_ = blob.Close()
		if err != nil {
			return err
		}
	}
}
