package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const configName = "localcluster.conf"

// config is the part of the server's configuration that is not initdb's.
func (s *Server) config() string {
	settings := []string{
		setting("listen_addresses", strings.Join(append([]string{s.Host}, s.Listen...), ",")),
		setting("port", fmt.Sprint(s.Port)),
		setting("unix_socket_directories", s.SocketDir),
		setting("max_connections", "100"),
		setting("shared_preload_libraries", "pg_stat_statements"),
		// Hundreds of tests share a server: with the default of 5,000 the statements of one are forgotten for another's.
		setting("pg_stat_statements.max", "50000"),
		setting("password_encryption", "scram-sha-256"),
		setting("ssl", "on"),
		setting("ssl_cert_file", filepath.Join(s.tlsDir(), "server.crt")),
		setting("ssl_key_file", filepath.Join(s.tlsDir(), "server.key")),
		// The data is thrown away: nothing is gained by surviving a power cut.
		setting("fsync", "off"),
		setting("synchronous_commit", "off"),
		setting("full_page_writes", "off"),
		// Statements may hold passwords, and their number hides what matters.
		setting("log_statement", "none"),
		setting("log_line_prefix", "%m [%p] %q%u@%d %a "),
		setting("log_timezone", "UTC"),
		setting("timezone", "UTC"),
	}
	for _, extra := range s.Settings {
		name, value, _ := strings.Cut(extra, "=")
		settings = append(settings, setting(name, value)) // a later line wins
	}
	return strings.Join(settings, "")
}

func setting(name, value string) string {
	return fmt.Sprintf("%s = '%s'\n", name, strings.ReplaceAll(value, "'", "''"))
}

// hba asks everybody for a password, over TLS or not: whether a client insists
// on TLS is the client's own decision, which tests may want to try both ways.
const hba = `local all         all     scram-sha-256
host  all         all all scram-sha-256
host  replication all all scram-sha-256
local replication all     scram-sha-256
`

// writeConfig writes what may differ from one start to the next.
func (s *Server) writeConfig(dataDir string, as *account) error {
	for name, text := range map[string]string{configName: s.config(), "pg_hba.conf": hba} {
		path := filepath.Join(dataDir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
		if err := as.own(path); err != nil {
			return err
		}
	}
	return nil
}

// includeConfig makes a new server read that configuration after its own.
func includeConfig(dataDir string) error {
	f, err := os.OpenFile(filepath.Join(dataDir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(setting("include", configName))
	return err
}

// certificate makes the server's certificate, new for each start since the
// addresses may differ.
func (s *Server) certificate(dir string, as *account) error {
	ca, err := loadOrMakeCA(dir)
	if err != nil {
		return err
	}
	s.CAFile = ca.CertFile
	if err := os.MkdirAll(s.tlsDir(), 0o755); err != nil {
		return err
	}
	hosts := slices.Concat([]string{"localhost", s.Host}, s.Listen)
	pair, err := ca.Server(s.tlsDir(), "server", s.Name, hosts...)
	if err != nil {
		return err
	}
	return as.own(s.tlsDir(), pair.CertFile, pair.KeyFile)
}
