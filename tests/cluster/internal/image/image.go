// Package image makes container images out of executables of this machine: an
// archive of one layer, in the format of `docker save`.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
)

const binDir = "/usr/local/bin"

// Spec says what goes into an image.
type Spec struct {
	// Name is the image's name as a pod would write it.
	Name string
	// Files are executables; each becomes /usr/local/bin/<its base name>,
	// beside the shared libraries that it needs.
	Files []string
	// Entrypoint is a path inside the image; by default the first executable.
	Entrypoint string
	// User is the user whom the image asks to run as; by default root.
	User string
}

// Reference returns the full name by which a container runtime looks up the
// image that a pod calls name: cutover:dev is docker.io/library/cutover:dev.
func Reference(name string) (string, error) {
	ref, err := reference.ParseDockerRef(name)
	if err != nil {
		return "", fmt.Errorf("image name %q: %w", name, err)
	}
	if _, ok := ref.(reference.NamedTagged); !ok {
		return "", fmt.Errorf("image name %q: a tag is needed, not a digest", name)
	}
	return ref.String(), nil
}

// Write writes the image's archive. The same files make the same bytes.
func Write(w io.Writer, spec Spec) error {
	ref, err := Reference(spec.Name)
	if err != nil {
		return err
	}
	if len(spec.Files) == 0 {
		return errors.New("an image needs at least one file")
	}
	layer, err := makeLayer(spec.Files)
	if err != nil {
		return err
	}
	entrypoint := spec.Entrypoint
	if entrypoint == "" {
		entrypoint = path.Join(binDir, filepath.Base(spec.Files[0]))
	}
	// Field names are those of the image formats' specifications.
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config": map[string]any{
			"User":       spec.User,
			"Env":        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			"Entrypoint": []string{entrypoint},
			"WorkingDir": "/",
		},
		"rootfs": map[string]any{
			"type":     "layers",
			"diff_ids": []string{"sha256:" + digest(layer)},
		},
	})
	if err != nil {
		return err
	}
	configName, layerName := digest(config)+".json", digest(layer)+".tar"
	manifest, err := json.Marshal([]map[string]any{{
		"Config":   configName,
		"RepoTags": []string{ref},
		"Layers":   []string{layerName},
	}})
	if err != nil {
		return err
	}
	archive := newWriter(w)
	archive.file(layerName, layer, 0o644)
	archive.file(configName, config, 0o644)
	archive.file("manifest.json", manifest, 0o644)
	return archive.close()
}

func makeLayer(files []string) ([]byte, error) {
	contents := map[string]string{} // path in the image: file of this machine
	for _, file := range files {
		target := path.Join(binDir, filepath.Base(file))
		if other, taken := contents[target]; taken && other != file {
			return nil, fmt.Errorf("%s and %s would both be %s", other, file, target)
		}
		contents[target] = file
		libraries, err := sharedLibraries(file)
		if err != nil {
			return nil, err
		}
		for _, library := range libraries {
			contents[library] = library
		}
	}
	var layer bytes.Buffer
	archive := newWriter(&layer)
	archive.dir("tmp", 0o1777)
	archive.file("etc/passwd", []byte("root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"), 0o644)
	archive.file("etc/group", []byte("root:x:0:\nnonroot:x:65532:\n"), 0o644)
	// Without it the C library may not look at /etc/hosts before DNS.
	archive.file("etc/nsswitch.conf", []byte("hosts: files dns\n"), 0o644)
	targets := make([]string, 0, len(contents))
	for target := range contents {
		targets = append(targets, target)
	}
	slices.Sort(targets)
	for _, target := range targets {
		// Reading follows symbolic links: a library's versioned name becomes
		// a plain file, which is all that the loader asks for.
		data, err := os.ReadFile(contents[target])
		if err != nil {
			return nil, err
		}
		archive.file(strings.TrimPrefix(target, "/"), data, 0o755)
	}
	if err := archive.close(); err != nil {
		return nil, err
	}
	return layer.Bytes(), nil
}

// writer writes a tar archive; the first error stays until close.
type writer struct {
	tar  *tar.Writer
	dirs map[string]bool
	err  error
}

func newWriter(w io.Writer) *writer {
	return &writer{tar: tar.NewWriter(w), dirs: map[string]bool{".": true}}
}

func (w *writer) file(name string, data []byte, mode int64) {
	w.parents(name)
	w.entry(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data))}, data)
}

func (w *writer) dir(name string, mode int64) {
	if w.dirs[name] {
		return
	}
	w.parents(name)
	w.dirs[name] = true
	w.entry(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode}, nil)
}

func (w *writer) parents(name string) {
	w.dir(path.Dir(name), 0o755)
}

func (w *writer) entry(header *tar.Header, data []byte) {
	if w.err != nil {
		return
	}
	header.ModTime = time.Unix(0, 0)
	if w.err = w.tar.WriteHeader(header); w.err == nil {
		_, w.err = w.tar.Write(data)
	}
}

func (w *writer) close() error {
	if w.err != nil {
		return w.err
	}
	return w.tar.Close()
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
