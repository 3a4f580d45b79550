// Package e2e tests the program as its users meet it: the built binary, run
// with arguments, environment and standard input, against trees that hold
// every kind of file a system has. The real duplicity, gpg, age and zstd are
// the oracles, in both directions. There is no code in it but tests.
package e2e
