//! The names of algorithms, services and methods that this implementation knows.

/// RFC 8731.
pub const CURVE25519: &str = "curve25519-sha256";
/// The same under its older name.
pub const CURVE25519_LIBSSH: &str = "curve25519-sha256@libssh.org";
/// draft-ietf-sshm-mlkem-hybrid-kex.
pub const MLKEM768X25519: &str = "mlkem768x25519-sha256";
/// OpenSSH's PROTOCOL, section 1.10: in a client's first KEXINIT.
pub const STRICT_CLIENT: &str = "kex-strict-c-v00@openssh.com";
/// The same in a server's.
pub const STRICT_SERVER: &str = "kex-strict-s-v00@openssh.com";
/// RFC 8308 section 2.1.
pub const EXT_INFO_CLIENT: &str = "ext-info-c";
/// RFC 8308 section 3.1.
pub const SERVER_SIG_ALGS: &str = "server-sig-algs";
/// RFC 8709.
pub const SSH_ED25519: &str = "ssh-ed25519";
/// Offered because some peers want a MAC in common; none is ever used, since every cipher here
/// authenticates (RFC 5647 section 5.1).
pub const MACS: &str = "hmac-sha2-256-etm@openssh.com,hmac-sha2-256";
/// RFC 4253 section 6.2.
pub const COMPRESSION: &str = "none";

/// RFC 4252.
pub const USERAUTH: &str = "ssh-userauth";
/// RFC 4254.
pub const CONNECTION: &str = "ssh-connection";
/// RFC 4252 section 7.
pub const PUBLICKEY: &str = "publickey";
/// PROTOCOL of OpenSSH, section 3.1: the signature is over the host key, too, as keys want it that were added to an agent
/// for some hosts only; and the extension that offers it.
pub const PUBLICKEY_HOSTBOUND: &str = "publickey-hostbound-v00@openssh.com";
pub const HOSTBOUND: &str = "publickey-hostbound@openssh.com";
/// RFC 4252 section 5.2.
pub const NONE: &str = "none";

/// RFC 4254 section 6.1.
pub const SESSION: &str = "session";
/// RFC 4254 section 6.10.
pub const EXIT_STATUS: &str = "exit-status";
/// RFC 4254 section 6.10.
pub const EXIT_SIGNAL: &str = "exit-signal";
/// RFC 4254 section 7.2.
pub const FORWARDED_TCPIP: &str = "forwarded-tcpip";
/// RFC 4254 section 7.1.
pub const TCPIP_FORWARD: &str = "tcpip-forward";
/// RFC 4254 section 7.1.
pub const CANCEL_TCPIP_FORWARD: &str = "cancel-tcpip-forward";
/// OpenSSH's, as a global request; any answer shows that the peer is alive.
pub const KEEPALIVE: &str = "keepalive@openssh.com";

/// How Go's ssh library begins its identification.
pub const GO: &[u8] = b"SSH-2.0-Go";
