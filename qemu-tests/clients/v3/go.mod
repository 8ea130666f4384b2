module v3

go 1.24.0

require (
	github.com/hugelgupf/p9 v0.3.0
	golang.org/x/crypto v0.45.0
	golang.org/x/sys v0.38.0
)

require github.com/u-root/uio v0.0.0-20230305220412-3e8cd9d6bf63 // indirect
