// The second generation of cpu, as it was published: nothing of ours is here.
//
// go build github.com/u-root/u-root/cmds/exp/cpu
module v2

go 1.24.0

require github.com/u-root/u-root v6.0.0+incompatible // indirect

require (
	github.com/anmitsu/go-shlex v0.0.0-20200514113438-38f4b401e2be // indirect
	github.com/creack/pty v1.1.7 // indirect
	github.com/gliderlabs/ssh v0.3.8 // indirect
	github.com/kr/pty v1.1.8 // indirect
	golang.org/x/crypto v0.45.0 // indirect
	golang.org/x/sys v0.38.0 // indirect
)

tool github.com/u-root/u-root/cmds/exp/cpu
