module v3

go 1.24.0

require (
	github.com/go-git/go-billy/v5 v5.5.1-0.20240514075308-8f1b719cb6a2
	github.com/hugelgupf/p9 v0.3.0
	github.com/willscott/go-nfs v0.0.0-20240424173852-04b947a7e58a
	golang.org/x/crypto v0.45.0
	golang.org/x/sys v0.38.0
)

require (
	github.com/cyphar/filepath-securejoin v0.2.5 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect
	github.com/rasky/go-xdr v0.0.0-20170124162913-1a41d1a06c93 // indirect
	github.com/u-root/uio v0.0.0-20230305220412-3e8cd9d6bf63 // indirect
	github.com/willscott/go-nfs-client v0.0.0-20240104095149-b44639837b00 // indirect
)
