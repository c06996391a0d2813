//! The wire: bytes to vocabulary and back. Pure: no socket, no clock.
