package image

import (
	"slices"
	"testing"
)

func TestReference(t *testing.T) {
	for name, want := range map[string]string{
		"cutover:dev":                   "docker.io/library/cutover:dev",
		"cutover":                       "docker.io/library/cutover:latest",
		"docker.io/library/cutover:dev": "docker.io/library/cutover:dev",
		"team/cutover:1":                "docker.io/team/cutover:1",
		"localhost/pause:1":             "localhost/pause:1",
		"registry.example:5000/a/b:c":   "registry.example:5000/a/b:c",
	} {
		if got, err := Reference(name); err != nil || got != want {
			t.Errorf("Reference(%q) = %q, %v; want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"", "Cutover:dev", "a:b:c"} {
		if got, err := Reference(name); err == nil {
			t.Errorf("Reference(%q) = %q; want an error", name, got)
		}
	}
}

func TestParseLDD(t *testing.T) {
	got, err := parseLDD(`	linux-vdso.so.1 (0x00007ffd1e5f2000)
	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f3c1c000000)
	/lib64/ld-linux-x86-64.so.2 (0x00007f3c1c3a2000)
`)
	want := []string{"/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("parseLDD = %q, %v; want %q", got, err, want)
	}
	if got, err := parseLDD("\tlibgone.so.1 => not found\n"); err == nil {
		t.Errorf("parseLDD = %q; want an error", got)
	}
}
