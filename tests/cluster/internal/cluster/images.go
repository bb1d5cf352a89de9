package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/grpclog"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"cutover.dev/tests/cluster/internal/image"
	"cutover.dev/tests/cluster/internal/proc"
)

// WriteImage writes an image's archive to a file.
func WriteImage(file string, spec image.Spec) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriter(f)
	err = errors.Join(image.Write(buffered, spec), buffered.Flush(), f.Close())
	if err != nil {
		os.Remove(file)
	}
	return err
}

// LoadImage makes an image and gives it to the cluster in dir.
func LoadImage(ctx context.Context, dir string, spec image.Spec) error {
	s, err := Load(dir)
	if err != nil {
		return err
	}
	if s == nil || !s.running() {
		return fmt.Errorf("no cluster is running in %s", dir)
	}
	f, err := os.CreateTemp(s.RunDir, "image-*.tar")
	if err != nil {
		return err
	}
	f.Close()
	defer os.Remove(f.Name())
	if err := WriteImage(f.Name(), spec); err != nil {
		return err
	}
	return s.importImage(ctx, f.Name(), spec.Name)
}

func (s *State) importImage(ctx context.Context, archive, name string) error {
	if err := proc.Run("ctr", "--address", s.ContainerdSocket, "--namespace", "k8s.io",
		"images", "import", "--snapshotter", s.Snapshotter, archive); err != nil {
		return err
	}
	// The part of containerd that serves kubelets hears of the image a moment
	// later, and a pod that never pulls would fail until then.
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	// Failed tries are expected, and reported by poll if they last.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	conn, err := grpc.NewClient("unix://"+s.ContainerdSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	images := cri.NewImageServiceClient(conn)
	return poll(ctx, func(ctx context.Context) error {
		status, err := images.ImageStatus(ctx, &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: name}})
		if err == nil && status.GetImage() == nil {
			err = fmt.Errorf("containerd does not know the image %s", name)
		}
		return err
	})
}
