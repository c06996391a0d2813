//! Why the relay ends: one line for people, one code for whoever started it.

use std::fmt;

/// Why it ends before it was told to. The codes are those of sysexits, as the server's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// A setting that cannot be.
    Usage(String),
    /// The sink will never take this event.
    Poison(String),
    /// The log no longer has what follows the cursor.
    Gone,
    /// The log answers what is no log.
    Log(String),
    /// Its address is taken, or a file cannot be written.
    Machine(String),
    /// The server does not let it in.
    Key(String),
}

impl Stop {
    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::Poison(_) => 65,
            Self::Gone | Self::Log(_) => 66,
            Self::Machine(_) => 69,
            Self::Key(_) => 77,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(why) | Self::Poison(why) | Self::Log(why) | Self::Machine(why) | Self::Key(why) => {
                f.write_str(why)
            }
            Self::Gone => f.write_str(
                "the log no longer has what follows the cursor (410): events are lost to this sink. Read the state \
                 (GET /v1/rooms/ROOM/seats), then go on with what the log still has by --from oldest",
            ),
        }
    }
}
