//! THE table: number, name, type, section, sender, the phases in which it is legal, fields.

use super::{
    Encode,
    Phase::{self, Kex, Login, Open, StrictKex},
    Rest,
    SentBy::{self, Client, Either, Server},
    field::Field,
    finished,
};
use crate::wire::{Reader, WireError, Writer};

macro_rules! messages {
    ($($number:literal $name:ident $type:ident $(<$lt:lifetime>)? $section:literal $sender:ident
       [$($phase:ident)*] { $($field:ident: $field_type:ty),* })*) => {
        $(
            #[doc = concat!("SSH_MSG_", stringify!($name), ", ", stringify!($number), " (", $section, ").")]
            #[derive(Clone, Copy, Debug, Eq, PartialEq)]
            pub struct $type $(<$lt>)? { $(pub $field: $field_type),* }

            impl $(<$lt>)? Encode for $type $(<$lt>)? {
                const NUMBER: u8 = $number;
                fn encode(&self, to: &mut Writer<'_>) -> Result<(), WireError> {
                    to.byte($number)?;
                    $(self.$field.write(to)?;)*
                    Ok(())
                }
            }
        )*

        /// Any message.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Message<'a> {
            $($type($type $(<$lt>)?),)*
            /// A number that the table does not have.
            Unknown(u8),
        }

        impl<'a> Message<'a> {
            /// Reads a packet's payload. Every byte must belong to a field.
            pub fn decode(payload: &'a [u8]) -> Result<Self, WireError> {
                finished(Reader::new(payload), |from| Ok(match from.byte()? {
                    $($number => Self::$type($type { $($field: Field::read(from)?),* }),)*
                    unknown => {
                        Rest::read(from)?;
                        Self::Unknown(unknown)
                    }
                }))
            }

            /// Writes the payload; of an unknown message only the number.
            pub fn encode(&self, to: &mut Writer<'_>) -> Result<(), WireError> {
                match self {
                    $(Self::$type(message) => message.encode(to),)*
                    Self::Unknown(number) => to.byte(*number),
                }
            }
        }

        /// The columns that say who may send a message, and when.
        fn row(number: u8) -> Option<(SentBy, &'static [Phase])> {
            match number {
                $($number => Some(($sender, &[$($phase),*])),)*
                _ => None,
            }
        }
    };
}

messages! {
    1   DISCONNECT                Disconnect<'a>               "RFC 4253 section 11.1" Either [StrictKex Kex Login Open]
        { reason: u32, description: &'a str, language: &'a str }
    2   IGNORE                    Ignore<'a>                   "RFC 4253 section 11.2" Either [Kex Login Open]
        { data: &'a [u8] }
    3   UNIMPLEMENTED             Unimplemented                "RFC 4253 section 11.4" Either [Kex Login Open]
        { sequence: u32 }
    4   DEBUG                     Debug<'a>                    "RFC 4253 section 11.3" Either [Kex Login Open]
        { always_display: bool, message: &'a [u8], language: &'a [u8] }
    5   SERVICE_REQUEST           ServiceRequest<'a>           "RFC 4253 section 10"   Client [Login]
        { service: &'a str }
    6   SERVICE_ACCEPT            ServiceAccept<'a>            "RFC 4253 section 10"   Server [Login]
        { service: &'a str }
    7   EXT_INFO                  ExtInfo<'a>                  "RFC 8308 section 2.3"  Either [Login Open]
        { count: u32, extensions: Rest<'a> }

    20  KEXINIT                   KexInit<'a>                  "RFC 4253 section 7.1"  Either [Kex Login Open]
        { cookie: &'a [u8; 16], kex: &'a str, host_key: &'a str,
          cipher_to_server: &'a str, cipher_to_client: &'a str,
          mac_to_server: &'a str, mac_to_client: &'a str,
          compression_to_server: &'a str, compression_to_client: &'a str,
          language_to_server: &'a str, language_to_client: &'a str,
          first_kex_packet_follows: bool, reserved: u32 }
    21  NEWKEYS                   NewKeys                      "RFC 4253 section 7.3"  Either [StrictKex Kex]
        {}
    30  KEX_ECDH_INIT             KexEcdhInit<'a>              "RFC 5656 section 4"    Client [StrictKex Kex]
        { public: &'a [u8] }
    31  KEX_ECDH_REPLY            KexEcdhReply<'a>             "RFC 5656 section 4"    Server [StrictKex Kex]
        { host_key: &'a [u8], public: &'a [u8], signature: &'a [u8] }

    50  USERAUTH_REQUEST          UserauthRequest<'a>          "RFC 4252 section 5"    Client [Login Open]
        { user: &'a str, service: &'a str, method: &'a str, fields: Rest<'a> }
    51  USERAUTH_FAILURE          UserauthFailure<'a>          "RFC 4252 section 5.1"  Server [Login]
        { can_continue: &'a str, partial_success: bool }
    52  USERAUTH_SUCCESS          UserauthSuccess              "RFC 4252 section 5.1"  Server [Login]
        {}
    53  USERAUTH_BANNER           UserauthBanner<'a>           "RFC 4252 section 5.4"  Server [Login]
        { message: &'a str, language: &'a str }
    60  USERAUTH_PK_OK            UserauthPkOk<'a>             "RFC 4252 section 7"    Server [Login]
        { algorithm: &'a str, key: &'a [u8] }

    80  GLOBAL_REQUEST            GlobalRequest<'a>            "RFC 4254 section 4"    Either [Open]
        { name: &'a str, want_reply: bool, fields: Rest<'a> }
    81  REQUEST_SUCCESS           RequestSuccess<'a>           "RFC 4254 section 4"    Either [Open]
        { fields: Rest<'a> }
    82  REQUEST_FAILURE           RequestFailure               "RFC 4254 section 4"    Either [Open]
        {}
    90  CHANNEL_OPEN              ChannelOpen<'a>              "RFC 4254 section 5.1"  Either [Open]
        { kind: &'a str, sender: u32, window: u32, maximum_packet: u32, fields: Rest<'a> }
    91  CHANNEL_OPEN_CONFIRMATION ChannelOpenConfirmation<'a>  "RFC 4254 section 5.1"  Either [Open]
        { recipient: u32, sender: u32, window: u32, maximum_packet: u32, fields: Rest<'a> }
    92  CHANNEL_OPEN_FAILURE      ChannelOpenFailure<'a>       "RFC 4254 section 5.1"  Either [Open]
        { recipient: u32, reason: u32, description: &'a str, language: &'a str }
    93  CHANNEL_WINDOW_ADJUST     ChannelWindowAdjust          "RFC 4254 section 5.2"  Either [Open]
        { recipient: u32, bytes: u32 }
    94  CHANNEL_DATA              ChannelData<'a>              "RFC 4254 section 5.2"  Either [Open]
        { recipient: u32, data: &'a [u8] }
    95  CHANNEL_EXTENDED_DATA     ChannelExtendedData<'a>      "RFC 4254 section 5.2"  Either [Open]
        { recipient: u32, data_type: u32, data: &'a [u8] }
    96  CHANNEL_EOF               ChannelEof                   "RFC 4254 section 5.3"  Either [Open]
        { recipient: u32 }
    97  CHANNEL_CLOSE             ChannelClose                 "RFC 4254 section 5.3"  Either [Open]
        { recipient: u32 }
    98  CHANNEL_REQUEST           ChannelRequest<'a>           "RFC 4254 section 5.4"  Either [Open]
        { recipient: u32, name: &'a str, want_reply: bool, fields: Rest<'a> }
    99  CHANNEL_SUCCESS           ChannelSuccess               "RFC 4254 section 5.4"  Either [Open]
        { recipient: u32 }
    100 CHANNEL_FAILURE           ChannelFailure               "RFC 4254 section 5.4"  Either [Open]
        { recipient: u32 }
}

/// Whether `from` may send the message `number` in `phase`; `None` when the table has no such message.
pub fn legal(number: u8, from: SentBy, phase: Phase) -> Option<bool> {
    let (sender, phases) = row(number)?;
    Some((sender == from || sender == Either) && phases.contains(&phase))
}
