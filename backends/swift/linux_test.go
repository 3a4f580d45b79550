package swift_test

import "syscall"

// diesWithTest ends a server that a killed test leaves.
func diesWithTest() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
