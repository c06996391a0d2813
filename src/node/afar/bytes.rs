//! The alphabet of letters to other nodes: numbers, texts, ids, lists, as bytes and back.
//!
//! Numbers are big-endian. A text has its length before it in 4 bytes, an id in 1; what may be missing has 1 byte, 0 or
//! 1, before it; a list has its count in 4 bytes. Invariants: what [`Afar::put`] writes [`Afar::take`] gives back;
//! taking never panics, and allocates no more than a small multiple of the bytes that are there. Never here: what a
//! letter means.

use std::sync::Arc;

use super::Malformed;
use super::route::Route;
use super::states::{States, Written};
use crate::engine::ids::TextId;
use crate::layout::catalog::Catalog;

/// Something that letters are made of.
pub(super) trait Afar: Sized {
    /// Appends it.
    fn put(&self, pen: &mut Pen<'_>);
    /// What comes next.
    fn take(from: &mut Paper<'_>) -> Result<Self, Malformed>;
    /// The same for what may be missing here though it was there.
    fn take_some(from: &mut Paper<'_>) -> Result<Option<Self>, Malformed> {
        Self::take(from).map(Some)
    }
}

/// What is being written.
pub(super) struct Pen<'a> {
    /// The bytes.
    pub(super) out: Vec<u8>,
    /// The full states that the reader has, or is going to have before this.
    pub(super) states: &'a mut Written,
}

/// What is being read.
pub(super) struct Paper<'a> {
    rest: &'a [u8],
    /// Where it comes from, and where to.
    pub(super) route: Route,
    /// The layouts that are known here.
    pub(super) layouts: &'a Catalog,
    /// The full states that have come.
    pub(super) states: &'a States,
}

impl<'a> Paper<'a> {
    pub(super) fn new(rest: &'a [u8], route: Route, layouts: &'a Catalog, states: &'a States) -> Self {
        Self { rest, route, layouts, states }
    }

    /// The next `count` bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        self.rest.split_off(..count).ok_or(Malformed::Length)
    }

    /// The next bytes that have their length before them.
    pub(super) fn block(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.count()?;
        self.bytes(length)
    }

    fn count(&mut self) -> Result<usize, Malformed> {
        usize::try_from(u32::take(self)?).map_err(|_| Malformed::Length)
    }

    /// Nothing is left.
    pub(super) fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed::Length) }
    }
}

impl Pen<'_> {
    /// Bytes with their length before them.
    pub(super) fn block(&mut self, bytes: &[u8]) {
        u32::try_from(bytes.len()).expect("a letter is bounded").put(self);
        self.out.extend_from_slice(bytes);
    }
}

macro_rules! numbers {
    ($($number:ty),*) => { $(
        impl Afar for $number {
            fn put(&self, pen: &mut Pen<'_>) {
                pen.out.extend_from_slice(&self.to_be_bytes());
            }
            fn take(from: &mut Paper<'_>) -> Result<Self, Malformed> {
                let bytes = from.bytes(size_of::<Self>())?;
                Ok(Self::from_be_bytes(bytes.try_into().expect("as many were taken")))
            }
        }
    )* };
}

numbers!(u8, u16, u32, u64, u128);

impl Afar for usize {
    fn put(&self, pen: &mut Pen<'_>) {
        (*self as u64).put(pen);
    }
    fn take(from: &mut Paper<'_>) -> Result<Self, Malformed> {
        Self::try_from(u64::take(from)?).map_err(|_| Malformed::Value)
    }
}

impl Afar for bool {
    fn put(&self, pen: &mut Pen<'_>) {
        u8::from(*self).put(pen);
    }
    fn take(from: &mut Paper<'_>) -> Result<Self, Malformed> {
        match u8::take(from)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed::Value),
        }
    }
}

impl<T: Afar> Afar for Option<T> {
    fn put(&self, pen: &mut Pen<'_>) {
        self.is_some().put(pen);
        if let Some(value) = self {
            value.put(pen);
        }
    }
    fn take(from: &mut Paper<'_>) -> Result<Self, Malformed> {
        if bool::take(from)? { T::take_some(from) } else { Ok(None) }
    }
}

impl<T: Afar> Afar for Vec<T> {
    fn put(&self, pen: &mut Pen<'_>) {
        u32::try_from(self.len()).expect("a letter is bounded").put(pen);
        self.iter().for_each(|value| value.put(pen));
    }
    fn take(from: &mut Paper<'_>) -> Result<Self, Malformed> {
        // Each takes at least a byte, and the list grows as they are found.
        let count = from.count()?;
        if count > from.rest.len() {
            return Err(Malformed::Length);
        }
        (0..count).map(|_| T::take(from)).collect()
    }
}

impl<A: Afar, B: Afar> Afar for (A, B) {
    fn put(&self, pen: &mut Pen<'_>) {
        self.0.put(pen);
        self.1.put(pen);
    }
    fn take(from: &mut Paper<'_>) -> Result<Self, Malformed> {
        Ok((A::take(from)?, B::take(from)?))
    }
}

impl<T: Afar> Afar for Box<T> {
    fn put(&self, pen: &mut Pen<'_>) {
        (**self).put(pen);
    }
    fn take(from: &mut Paper<'_>) -> Result<Self, Malformed> {
        T::take(from).map(Self::new)
    }
}

impl<T: Afar> Afar for Arc<T> {
    fn put(&self, pen: &mut Pen<'_>) {
        (**self).put(pen);
    }
    fn take(from: &mut Paper<'_>) -> Result<Self, Malformed> {
        T::take(from).map(Self::new)
    }
}

fn text(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed::Text)
}

macro_rules! texts {
    ($($text:ty),*) => { $(
        impl Afar for $text {
            fn put(&self, pen: &mut Pen<'_>) {
                pen.block(self.as_bytes());
            }
            fn take(from: &mut Paper<'_>) -> Result<Self, Malformed> {
                from.block().and_then(text).map(Self::from)
            }
        }
    )* };
}

texts!(Arc<str>, Box<str>);

impl<Kind> Afar for TextId<Kind> {
    fn put(&self, pen: &mut Pen<'_>) {
        let id = self.as_str();
        u8::try_from(id.len()).expect("an id is short").put(pen);
        pen.out.extend_from_slice(id.as_bytes());
    }
    fn take(from: &mut Paper<'_>) -> Result<Self, Malformed> {
        let length = usize::from(u8::take(from)?);
        Self::new(text(from.bytes(length)?)?).ok_or(Malformed::Text)
    }
}

/// A type of named fields, which are written in this order. A field that is added does not compile until it is here.
macro_rules! record {
    ($type:ident { $($field:ident),* $(,)? }) => {
        impl $crate::node::afar::bytes::Afar for $type {
            fn put(&self, pen: &mut $crate::node::afar::bytes::Pen<'_>) {
                let Self { $($field),* } = self;
                $($crate::node::afar::bytes::Afar::put($field, pen);)*
            }
            fn take(
                from: &mut $crate::node::afar::bytes::Paper<'_>,
            ) -> Result<Self, $crate::node::afar::Malformed> {
                Ok(Self { $($field: $crate::node::afar::bytes::Afar::take(from)?),* })
            }
        }
    };
}

/// A type of one field without a name.
macro_rules! wrapper {
    ($($type:ident),*) => { $(
        impl $crate::node::afar::bytes::Afar for $type {
            fn put(&self, pen: &mut $crate::node::afar::bytes::Pen<'_>) {
                $crate::node::afar::bytes::Afar::put(&self.0, pen);
            }
            fn take(
                from: &mut $crate::node::afar::bytes::Paper<'_>,
            ) -> Result<Self, $crate::node::afar::Malformed> {
                $crate::node::afar::bytes::Afar::take(from).map(Self)
            }
        }
    )* };
}

/// A type of several variants, each with the byte that is written for it and then its fields in this order. A variant
/// that is added does not compile until it is here.
macro_rules! choice {
    ($type:ident {
        $($code:literal => $variant:ident $(($($part:ident),*))? $({ $($field:ident),* })?),* $(,)?
    }) => {
        impl $crate::node::afar::bytes::Afar for $type {
            fn put(&self, pen: &mut $crate::node::afar::bytes::Pen<'_>) {
                match self {
                    $(Self::$variant $(($($part),*))? $({ $($field),* })? => {
                        pen.out.push($code);
                        $($($crate::node::afar::bytes::Afar::put($part, pen);)*)?
                        $($($crate::node::afar::bytes::Afar::put($field, pen);)*)?
                    })*
                }
            }
            fn take(
                from: &mut $crate::node::afar::bytes::Paper<'_>,
            ) -> Result<Self, $crate::node::afar::Malformed> {
                match <u8 as $crate::node::afar::bytes::Afar>::take(from)? {
                    $($code => {
                        $($(let $part = $crate::node::afar::bytes::Afar::take(from)?;)*)?
                        $($(let $field = $crate::node::afar::bytes::Afar::take(from)?;)*)?
                        Ok(Self::$variant $(($($part),*))? $({ $($field),* })?)
                    })*
                    _ => Err($crate::node::afar::Malformed::Value),
                }
            }
        }
    };
}

pub(super) use {choice, record, wrapper};
