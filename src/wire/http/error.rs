//! Why a request is refused, and what the answer says. Never here: which requests are refused.

use crate::limits::{HTTP_HEAD_BYTES_MAX, HTTP_HEADERS_MAX, ID_BYTES_MAX};

const _: () = assert!(HTTP_HEAD_BYTES_MAX == 16 * 1024 && HTTP_HEADERS_MAX == 64, "the messages about lengths say so");
const _: () = assert!(ID_BYTES_MAX == 128, "the messages about ids say so");

/// Why a request head is refused. The connection ends with the answer, since it is not known where the next request
/// begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HttpError {
    /// Not a request, or one that two readers could understand differently.
    Bad,
    /// `Host` is missing, there twice, or not the name of a host.
    BadHost,
    /// The client id of `/ws/{client_id}` is not one.
    BadClientId,
    /// The client id is a name that only the server gives.
    ReservedClientId,
    /// The room id of `/room/{room_id}/selections` is not one.
    BadRoomId,
    /// The key of the upgrade is not 16 bytes in base64, or there are two.
    BadKey,
    /// The request has a body.
    BodyRefused,
    /// The head is longer than [`HTTP_HEAD_BYTES_MAX`] or has more than [`HTTP_HEADERS_MAX`] lines.
    TooLarge,
    /// The first line alone is longer than [`HTTP_HEAD_BYTES_MAX`].
    TargetTooLong,
    /// Neither GET, HEAD nor OPTIONS.
    MethodNotAllowed,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    UnsupportedVersion,
    /// `/ws/{client_id}` without an upgrade to version 13 of the WebSocket protocol.
    UpgradeRequired,
}

impl HttpError {
    /// The status of the answer.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Bad | Self::BadHost | Self::BadClientId | Self::ReservedClientId | Self::BadRoomId | Self::BadKey => {
                400
            }
            Self::MethodNotAllowed => 405,
            Self::BodyRefused => 413,
            Self::TargetTooLong => 414,
            Self::UpgradeRequired => 426,
            Self::TooLarge => 431,
            Self::UnsupportedVersion => 505,
        }
    }

    /// What the answer says.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Bad => "this is not an HTTP request",
            Self::BadHost => "Host must be there once, and name a host",
            Self::BadClientId => {
                "client_id must be 1 to 128 bytes of UTF-8 without control and invisible characters, with / written as %2F"
            }
            Self::ReservedClientId => {
                "client_id must not be system and must not begin with holder: (the server gives these names)"
            }
            Self::BadRoomId => "room_id must be 1 to 128 bytes of UTF-8 without control and invisible characters",
            Self::BadKey => "Sec-WebSocket-Key must be 16 bytes in base64, once",
            Self::BodyRefused => "a request must have no body",
            Self::TooLarge => "the request head is longer than 16 KiB or has more than 64 headers",
            Self::TargetTooLong => "the request line is longer than 16 KiB",
            Self::MethodNotAllowed => "only GET, HEAD and OPTIONS are allowed",
            Self::UnsupportedVersion => "only HTTP/1.1 and HTTP/1.0 are spoken here",
            Self::UpgradeRequired => "this path needs a WebSocket upgrade, version 13, by GET and HTTP/1.1",
        }
    }
}
