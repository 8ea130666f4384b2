use core::{error, fmt};

use crate::keys::KeyError;

/// Why a login was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// The user name is longer than [`USER_MAX`](super::USER_MAX) bytes, or else the data to sign
    /// too long.
    TooLong,
    /// Another service than `ssh-connection` was asked for.
    Service,
    /// The signature algorithm is not one of [`SIGNATURE_ALGORITHMS`](super::SIGNATURE_ALGORITHMS).
    Algorithm,
    /// The public key cannot be used.
    Key(KeyError),
    /// The signature algorithm is for keys of another type.
    KeyType,
    /// The signature is to be bound to the key of another host.
    HostKey,
    /// The key is not in the file.
    NotAuthorized,
    /// The signature names another algorithm than the request.
    SignatureAlgorithm,
    /// The signature is not in the form that its algorithm has.
    SignatureMalformed,
    /// The signature is not one of this key over this request in this connection.
    SignatureWrong,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the user name is too long",
            Self::Service => "the service asked for is not ssh-connection",
            Self::Algorithm => "the signature algorithm is not supported",
            Self::Key(reason) => return reason.fmt(f),
            Self::KeyType => "the signature algorithm is not one for the key's type",
            Self::HostKey => "the host key is not this host's",
            Self::NotAuthorized => "the key is not an authorized one",
            Self::SignatureAlgorithm => "the signature names another algorithm than the request",
            Self::SignatureMalformed => "the signature is malformed",
            Self::SignatureWrong => "the signature is wrong",
        })
    }
}

impl error::Error for Refused {}
