//! Lists of a plan, while it is read: all of them together are bounded in bytes.
//!
//! What takes three bytes in JSON may take hundreds when it is read, so a long text of many small things would take a
//! hundred times its length before anybody counts them. Invariant: what the lists of one plan take as they are read
//! is at most [`LAYOUT_LISTS_BYTES_MAX`], a half more while one grows. Never here: what stands in the lists.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

use crate::limits::layout::LAYOUT_LISTS_BYTES_MAX;

thread_local! {
    /// What the lists of the plan that this thread reads may still take.
    static LEFT: Cell<usize> = const { Cell::new(0) };
}

/// Reads one plan.
pub(super) fn bounded<T>(read: impl FnOnce() -> T) -> T {
    LEFT.set(LAYOUT_LISTS_BYTES_MAX);
    read()
}

/// So many bytes more.
fn take<E: de::Error>(bytes: usize) -> Result<(), E> {
    let left = LEFT.get().checked_sub(bytes).ok_or_else(|| E::custom("it has more parts than a layout may have"))?;
    LEFT.set(left);
    Ok(())
}

/// A list that counts.
struct List<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(thing) = from.next_element()? {
                    if list.len() == list.capacity() {
                        // As far as it is long: a list of one is for one.
                        let more = list.len().max(1);
                        take(more * size_of::<T>())?;
                        list.reserve_exact(more);
                    }
                    list.push(thing);
                }
                Ok(List(list))
            }
        }
        from.deserialize_seq(Reader(PhantomData))
    }
}

/// A field that is a list.
pub(super) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    List::deserialize(from).map(|List(list)| list)
}

/// A field that may be a list.
pub(super) fn list_if_any<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Vec<T>>, D::Error> {
    Option::deserialize(from).map(|list| list.map(|List(list)| list))
}
