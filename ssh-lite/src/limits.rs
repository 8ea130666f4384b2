//! Every bound of the machine, with its reason.

/// The identification line with its CR LF (RFC 4253 section 4.2).
pub const IDENT_LINE: usize = 255;

/// The largest packet of a peer that has not logged in, and how far its bytes are read ahead. RFC 4253
/// section 6.1 asks for 35,000 bytes, which nobody's login needs: KEXINITs have up to 3 KiB, a key
/// share 1.2, a signature by an RSA key with 4,096 bits 1.2. Afterwards the caller's receive buffer
/// is the bound.
pub const PACKET_BEFORE_LOGIN: usize = 8 * 1024;

/// The output that may wait for a peer that has not logged in: our KEXINIT, or an answer, and room for
/// the next one. While a peer does not read, its packets are not handled.
pub const OUTPUT_BEFORE_LOGIN: usize = 4 * 1024;

/// What a peer may send before it has logged in, of all kinds together. paramiko, which asks for the
/// service before each key, takes two packets an attempt, and a key exchange takes three.
pub const PACKETS_BEFORE_LOGIN: u32 = 128;
pub const BYTES_BEFORE_LOGIN: usize = 128 * 1024;

/// How far the receive buffer is filled ahead of the packet at hand. A buffer for packets of
/// 256 KiB has no more pages than this in use until such a packet arrives.
pub const READ_AHEAD: usize = 64 * 1024;

/// The data in one packet on a session's channel: what RFC 4253 section 6.1 asks for, and what every
/// client uses.
pub const SESSION_PACKET: u32 = 32 * 1024;

/// The data in one packet on a forwarded channel, if the receive buffer holds it. Above 64 KiB
/// nothing is gained: a write of the consumer takes no more at once from a socket.
pub const FORWARDED_PACKET: u32 = 64 * 1024;

/// What a packet has around a channel's data: length, padding length, up to 19 bytes of padding, a
/// tag, and the 13 bytes of CHANNEL_EXTENDED_DATA's other fields.
pub const PACKET_OVERHEAD: usize = 4 + 1 + 19 + 16 + 13;

/// Channels of a connection that the client opens; OpenSSH's MaxSessions.
pub const SESSIONS: usize = 10;

/// Channels of a connection that this side opens: one per session carries its files by 9P, one for each connection of
/// the kernel's by NFS.
pub const FORWARDED: usize = 10;

/// Free room in the output without which no packet is handled, so that the answer to any packet fits. The largest answer: KEX_ECDH_REPLY with an ML-KEM ciphertext (1,310), NEWKEYS
/// and EXT_INFO (200) come to 1.5 KiB.
pub const ANSWER_ROOM: usize = 2 * 1024;

/// Room in the output that only the last message, DISCONNECT, may use.
pub const DISCONNECT_ROOM: usize = 256;

/// The sentence in a DISCONNECT.
pub const DISCONNECT_TEXT: usize = 160;

/// Bytes of messages that wait for the end of a re-key or for room: an exit-signal, EOF and CLOSE
/// on each of the 20 channels (20 × 150), and answers to what the peer had under way.
pub const QUEUE: usize = 4 * 1024;

/// Attempts to log in, the queries whether a key is acceptable included: an agent with many keys
/// asks once per key. OpenSSH's MaxAuthTries is 6. New key exchanges before the login count too.
pub const LOGIN_ATTEMPTS: u32 = 20;

/// The blob of a user's public key; RSA with 4,096 bits and a small exponent has 535 bytes.
pub const KEY_BLOB: usize = 1024;

/// The blob of a signature: `rsa-sha2-512` in its name's string, and 4,096 bits in another.
pub const SIGNATURE_BLOB: usize = (4 + 12) + (4 + 512);

/// Packets under one key (RFC 4344 section 3.1: a re-key after at most 2^31).
pub const PACKETS_PER_KEY: u32 = 1 << 31;
