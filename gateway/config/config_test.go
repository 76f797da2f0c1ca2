package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/gateway/config"
)

const least = "hostname = \"mail.clinic.example\"\ndata = \"data\"\n"

const second = "[dns]\nlisten = [\":53\"]\n[dns.secondary.\"ns2.example.net\"]\n"

func TestSecondaries(t *testing.T) {
	c, err := config.Load(write(t, least+second+"from = [\"192.0.2.53\", \"2001:db8::/64\"]\nkey = \"k\"\nsecret_file = \"k\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	s := c.DNS.Secondary["ns2.example.net"]
	nets, err := s.Networks()
	if err != nil || len(nets) != 2 || nets[0].String() != "192.0.2.53/32" || nets[1].String() != "2001:db8::/64" {
		t.Errorf("%v %v", nets, err)
	}
	if told := s.Told(); len(told) != 1 || told[0] != "192.0.2.53:53" || !filepath.IsAbs(s.SecretFile) {
		t.Errorf("told %v, secret %s", told, s.SecretFile)
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "postern.toml")
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFaultsAreNamedWithTheirLine(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", least + "colour = 1\n", `line 3: unknown key "colour"`},
		{"unknown key in a table", least + "[smtp]\nlisten = []\nmaxsize = 4\n", `line 5: unknown key "smtp.maxsize"`},
		{"unknown table", least + "\n[smpt]\nlisten = []\n", `line 4: unknown key "smpt"`},
		{"unknown key of a peer", least + "[peer.\"a.example\"]\nsntp = \"a:1\"\n", `line 4: unknown key`},
		{"the same name elsewhere", least + "[submission]\nlisten = []\n[log]\nlisten = 1\n", `line 6: unknown key "log.listen"`},
		{"not TOML", least + "[smtp\n", "line 3"},
		{"wrong type", least + "[smtp]\nlisten = 25\n", "line 4"},
		{"not a duration", least + "[smtp]\ntimeout = \"soon\"\n", "line 4"},
		{"a duration of nothing", least + "[notify]\nprocessed_within = \"0s\"\n", "line 4"},
		{"no host name", "hostname = \"box\"\ndata = \"d\"\n", "line 1: hostname"},
		{"no data directory", "hostname = \"mail.clinic.example\"\n", ": data: no data directory"},
		{"no port", least + "[smtp]\nlisten = [\"127.0.0.1\"]\n", "line 4: smtp.listen"},
		{"smart host", least + "[relay]\nsmart_host = \"x\"\n", "line 4: relay.smart_host"},
		{"network", least + "[relay]\n# who may be dialled\nallow_private = [\"10.0.0.1\"]\n", "line 5: relay.allow_private"},
		{"address", least + "[dns]\naddresses = [\"here\"]\n", "line 4: dns.addresses"},
		{"peer", least + "[peer.\"a.example\"]\nsmtp = \"a\"\n", `line 4: peer."a.example".smtp`},
		{"peer that is no domain", least + "[peer.\"a b\"]\nsmtp = \"a:25\"\n", `line 3: peer."a b": not a domain`},
		{"clocks that contradict", least + "[notify]\nedge_within = \"60m\"\n", "line 4: notify.edge_within"},
		{"device without its token", least + "[hsm]\nmodule = \"/lib/x.so\"\n", "line 4: hsm.module: a device needs both"},
		{"PIN of no device", least + "[hsm]\npin_file = \"pin\"\n", ": hsm.module: a device needs both"},
		{"secondary without an address", least + second + "key = \"k\"\nsecret_file = \"k\"\n", `dns.secondary."ns2.example.net".from: no address`},
		{"secondary that is no name", least + "[dns]\nlisten = [\":53\"]\n[dns.secondary.\"n s\"]\nfrom = [\"192.0.2.1\"]\nkey = \"k\"\nsecret_file = \"k\"\n", `line 5: dns.secondary."n s": "n s" is not the name of a name server`},
		{"secondary's network", least + second + "from = [\"here\"]\nkey = \"k\"\nsecret_file = \"k\"\n", `line 6: dns.secondary."ns2.example.net".from: "here" is neither`},
		{"secondary's algorithm", least + second + "from = [\"192.0.2.1\"]\nkey = \"k\"\nalgorithm = \"hmac-md5\"\nsecret_file = \"k\"\n", `line 8: dns.secondary."ns2.example.net".algorithm: "hmac-md5"`},
		{"secondary without a key", least + second + "from = [\"192.0.2.1\"]\nsecret_file = \"k\"\n", `not the name of a TSIG key`},
		{"secondary without a secret", least + second + "from = [\"192.0.2.1\"]\nkey = \"k\"\n", `no file with the key`},
		{"secondary to notify nowhere", least + second + "from = [\"192.0.2.1\"]\nkey = \"k\"\nsecret_file = \"k\"\nnotify = [\"ns2\"]\n", `line 9: dns.secondary."ns2.example.net".notify: "ns2" is not host:port`},
		{"secondary of no server", least + "[dns.secondary.\"ns2.example.net\"]\nfrom = [\"192.0.2.1\"]\nkey = \"k\"\nsecret_file = \"k\"\n", `there is no dns.listen`},
		{"log format", least + "[log]\nformat = \"xml\"\n", "line 4: log.format"},
		{"web without a port", least + "[web]\nlisten = \"here\"\n", "line 4: web.listen"},
		{"web in the clear", least + "[web]\nlisten = \":443\"\n", "web.certificate: the web needs certificate and key"},
		{"web behind a proxy that is none", least + "[web]\nproxies = [\"here\"]\n", "line 4: web.proxies"},
		{"web behind a proxy without its URL", least + "[web]\nlisten = \":80\"\nproxies = [\"127.0.0.1/32\"]\n", "web.public_url: behind proxies"},
		{"public URL in the clear", least + "[web]\npublic_url = \"http://clinic.example\"\n", "line 4: web.public_url"},
		{"public URL with a path", least + "[web]\npublic_url = \"https://clinic.example/in\"\n", "line 4: web.public_url"},
		{"submission without TLS", least + "[submission]\nlisten = [\":587\"]\n", ": tls.certificate: submission needs"},
		{"too large", least + strings.Repeat("#\n", config.MaxFile/2), "at most 1048576"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := write(t, c.text)
			_, err := config.Load(p)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), p) {
				t.Errorf("%v\nwant %q and the file's name", err, c.want)
			}
		})
	}
}

func TestEveryFaultAtOnce(t *testing.T) {
	_, err := config.Load(write(t, "hostname = \"box\"\ndata = \"d\"\n[log]\nformat = \"xml\"\n"))
	if err == nil || !strings.Contains(err.Error(), "hostname") || !strings.Contains(err.Error(), "log.format") {
		t.Errorf("%v", err)
	}
}

func TestDefaultsAndPaths(t *testing.T) {
	p := write(t, least+"master_key = \"/etc/key\"\n[tls]\ncertificate = \"tls/cert.pem\"\n[smtp]\ntimeout = \"90s\"\n")
	c, err := config.Load(p)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(p)
	if c.Data != filepath.Join(dir, "data") || c.MasterKey != "/etc/key" || c.TLS.Certificate != filepath.Join(dir, "tls/cert.pem") {
		t.Errorf("paths %q %q %q", c.Data, c.MasterKey, c.TLS.Certificate)
	}
	if c.SMTP.Timeout.D() != 90*time.Second || c.Notify.T1.D() != time.Hour || c.DNS.MailHost != c.Hostname {
		t.Errorf("%+v", c)
	}
}

func TestFind(t *testing.T) {
	none := func(string) string { return "" }
	t.Chdir(t.TempDir())
	if _, err := config.Find("", none); err == nil || !strings.Contains(err.Error(), "postern init") {
		t.Errorf("nothing there: %v", err)
	}
	if err := os.WriteFile("postern.toml", []byte(least), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ named, env, want string }{{"", "", "postern.toml"}, {"", "/e.toml", "/e.toml"}, {"/n.toml", "/e.toml", "/n.toml"}} {
		if got, err := config.Find(c.named, func(string) string { return c.env }); err != nil || got != c.want {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
	if _, err := config.Load("/nowhere/postern.toml"); err == nil || !strings.Contains(err.Error(), "/nowhere/postern.toml") {
		t.Errorf("missing file: %v", err)
	}
}
