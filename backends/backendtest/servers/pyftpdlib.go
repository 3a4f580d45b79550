package servers

import (
	"encoding/json"
	"net"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
)

const pyftpdlibProgram = `
import sys, os, json
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, PassiveDTP, TLS_FTPHandler
from pyftpdlib.servers import FTPServer

o = json.loads(sys.argv[1])
authorizer = DummyAuthorizer()
authorizer.add_user(o["user"], o["password"], o["root"], perm="elradfmwMT")

class Handler(TLS_FTPHandler if o["cert"] else FTPHandler):
    proto_cmds = dict(TLS_FTPHandler.proto_cmds if o["cert"] else FTPHandler.proto_cmds)

    def ftp_RNTO(self, path):
        if o["norename"] and os.path.lexists(path):
            self._rnfr = None
            self.respond("553 File exists.")
            return
        return super().ftp_RNTO(path)

Handler.authorizer = authorizer
Handler.auth_failed_timeout = 0
Handler.passive_dtp = type("Passive", (PassiveDTP,), {"timeout": 3})
for c in o["without"] or []:
    del Handler.proto_cmds[c]
if o["cert"]:
    Handler.certfile, Handler.keyfile = o["cert"], o["key"]
    Handler.tls_control_required = Handler.tls_data_required = True
import logging
logging.disable(logging.INFO)
server = FTPServer((o["host"], o["port"]), Handler)
server.max_cons = 512
server.serve_forever(handle_exit=True)
`

// PyftpdlibOptions say what is special about a Pyftpdlib.
type PyftpdlibOptions struct {
	User, Password string   // those of this package if both are empty
	Sixth          bool     // it listens on [::1]
	TLS            bool     // explicit
	NoRename       bool     // over a file
	Without        []string // commands
}

// Pyftpdlib starts pyftpdlib: with MLSD, and a user. It waits 3 s for a transfer
// to begin.
func Pyftpdlib(t testing.TB, o PyftpdlibOptions) *FTPServer {
	t.Helper()
	python := pyftpdlibPython(t)
	if o.User == "" && o.Password == "" {
		o.User, o.Password = User, Password
	}
	dir := OpenDir(t, "files/dir")
	s := &FTPServer{Root: dir + "/files", Port: FreePort(t)}
	key, host := "", "127.0.0.1"
	if o.TLS {
		s.CAFile, key = Certificate(t, dir)
	}
	if o.Sixth {
		host = "::1"
	}
	options, err := json.Marshal(map[string]any{
		"host": host, "port": s.Port, "user": o.User, "password": o.Password, "root": s.Root,
		"cert": s.CAFile, "key": key, "norename": o.NoRename, "without": o.Without,
	})
	check(t, err)
	serve(t, syscall.SIGINT, net.JoinHostPort(host, strconv.Itoa(s.Port)), dir+"/log",
		python, "-W", "ignore", "-c", pyftpdlibProgram, string(options))
	return s
}

// pyftpdlibPython returns a Python that has it: the one in the path, or the
// system's, which its packages are for.
func pyftpdlibPython(t testing.TB) string {
	t.Helper()
	for _, python := range []string{"python3", systemPython} {
		if exec.Command(python, "-W", "ignore", "-c", "import pyftpdlib, OpenSSL").Run() == nil {
			return python
		}
	}
	Absent(t, "pyftpdlib (python3-pyftpdlib and python3-openssl)")
	return ""
}
