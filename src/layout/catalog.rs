//! All layouts there are, by name and version, shared by all threads.
//!
//! Invariants: a version that is there never changes; the latest one of a name is the one that was put last. Rooms
//! keep their layout themselves, so a click never asks here. Never here: where layouts are stored.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::Layout;
use crate::limits::layout::LAYOUT_VERSIONS_MAX;

/// The catalog. A clone is the same catalog.
#[derive(Clone, Default, Debug)]
pub struct Catalog(Arc<RwLock<Shelves>>);

#[derive(Default, Debug)]
struct Shelves {
    /// The versions of each name, the latest last.
    versions: BTreeMap<Arc<str>, Vec<Arc<Layout>>>,
    /// How many there are in all.
    count: usize,
    /// What they take, in bytes of memory.
    bytes: usize,
}

/// What became of a layout that was put in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Put {
    /// Its name was not known.
    New,
    /// It is a new version of a name that was known.
    NewVersion,
    /// This version was there already; it is the latest one now.
    Known,
    /// There are too many: [`LAYOUT_VERSIONS_MAX`].
    Full,
    /// All together would take more than they may.
    TooLarge,
}

impl Catalog {
    /// The version that was put last under a name.
    #[must_use]
    pub fn latest(&self, id: &str) -> Option<Arc<Layout>> {
        self.read(|shelves| shelves.versions.get(id)?.last().cloned())
    }

    /// One version of a name.
    #[must_use]
    pub fn get(&self, id: &str, version: &str) -> Option<Arc<Layout>> {
        self.read(|shelves| shelves.versions.get(id)?.iter().find(|layout| **layout.version() == *version).cloned())
    }

    /// The latest version of every name, in the order of names.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Layout>> {
        self.read(|shelves| shelves.versions.values().filter_map(|versions| versions.last().cloned()).collect())
    }

    /// All versions of a name, the latest last.
    #[must_use]
    pub fn versions(&self, id: &str) -> Vec<Arc<Layout>> {
        self.read(|shelves| shelves.versions.get(id).cloned().unwrap_or_default())
    }

    /// What would become of a layout that is put in, when all together may take `bytes_max`.
    #[must_use]
    pub fn look(&self, layout: &Layout, bytes_max: usize) -> Put {
        self.read(|shelves| match shelves.versions.get(layout.id()) {
            Some(versions) if versions.iter().any(|other| other.version() == layout.version()) => Put::Known,
            _ if shelves.count >= LAYOUT_VERSIONS_MAX => Put::Full,
            _ if shelves.bytes.saturating_add(layout.bytes()) > bytes_max => Put::TooLarge,
            Some(_) => Put::NewVersion,
            None => Put::New,
        })
    }

    /// Begins anew with these, in their order. Of what was there the same versions stay what they are. Returns those
    /// for which there is no place.
    pub fn begin(&self, all: impl Iterator<Item = Arc<Layout>>) -> Vec<Arc<Layout>> {
        let fresh = Self::default();
        let known = |layout: Arc<Layout>| self.get(layout.id(), layout.version()).unwrap_or(layout);
        let left_out = all.map(known).filter(|layout| fresh.put(Arc::clone(layout)) == Put::Full).collect();
        let shelves = std::mem::take(&mut *fresh.0.write().unwrap_or_else(PoisonError::into_inner));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = shelves;
        left_out
    }

    /// What all take together, in bytes of memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.read(|shelves| shelves.bytes)
    }

    /// Makes this the latest version of its name, whatever it takes: [`Self::look`] says who asks before.
    pub fn put(&self, layout: Arc<Layout>) -> Put {
        let mut shelves = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_full = shelves.count >= LAYOUT_VERSIONS_MAX;
        let id = Arc::clone(layout.id());
        let versions = shelves.versions.get_mut(&id);
        if let Some(versions) = versions {
            let known = versions.iter().position(|other| other.version() == layout.version());
            if let Some(at) = known {
                let known = versions.remove(at);
                versions.push(known);
                return Put::Known;
            }
        }
        if is_full {
            return Put::Full;
        }
        let bytes = layout.bytes();
        let versions = shelves.versions.entry(id).or_default();
        versions.push(layout);
        let put = if versions.len() == 1 { Put::New } else { Put::NewVersion };
        shelves.count += 1;
        shelves.bytes += bytes;
        put
    }

    /// Takes a name out with all its versions, and says whether there was one. Who has one of them keeps it.
    pub fn delete(&self, id: &str) -> bool {
        let mut shelves = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let versions = shelves.versions.remove(id);
        shelves.count -= versions.as_ref().map_or(0, Vec::len);
        shelves.bytes -= versions.iter().flatten().map(|layout| layout.bytes()).sum::<usize>();
        versions.is_some()
    }

    fn read<T>(&self, look: impl FnOnce(&Shelves) -> T) -> T {
        // Nothing that holds the lock can panic half-way.
        look(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Catalog, Put};
    use crate::layout::Layout;

    fn layout(id: &str, seat: u32) -> Arc<Layout> {
        let seat = format!(r#"{{"id":"{seat}","section":"s","row":"A","number":1,"category":"a","x":0,"y":0}}"#);
        Arc::new(Layout::parse(id, format!(r#"{{"seats":[{seat}]}}"#).as_bytes()).expect("it is one"))
    }

    #[test]
    fn the_latest_is_the_one_put_last() {
        let catalog = Catalog::default();
        let (first, second) = (layout("hall", 1), layout("hall", 2));
        assert_ne!(first.version(), second.version());
        assert_eq!(catalog.put(Arc::clone(&first)), Put::New);
        assert_eq!(catalog.clone().put(Arc::clone(&second)), Put::NewVersion);
        assert!(Arc::ptr_eq(&catalog.latest("hall").expect("it is there"), &second));
        // The same text again: the one that is there stays, since rooms have it.
        assert_eq!(catalog.put(layout("hall", 1)), Put::Known);
        assert!(Arc::ptr_eq(&catalog.latest("hall").expect("it is there"), &first));
        assert_eq!(catalog.put(layout("arena", 1)), Put::New);
        assert!(Arc::ptr_eq(&catalog.get("hall", second.version()).expect("it is there"), &second));
        assert!(catalog.get("hall", "").is_none() && catalog.get("arena", second.version()).is_none());
        assert_eq!(catalog.list().iter().map(|layout| layout.id().to_string()).collect::<Vec<_>>(), ["arena", "hall"]);
        assert_eq!(catalog.versions("hall").len(), 2);
        let look = |layout: &Layout| catalog.look(layout, usize::MAX);
        assert_eq!(look(&first), Put::Known);
        assert_eq!((look(&layout("hall", 3)), look(&layout("x", 1))), (Put::NewVersion, Put::New));
        assert!(catalog.begin([layout("hall", 2), layout("x", 1), layout("hall", 1)].into_iter()).is_empty());
        assert!(Arc::ptr_eq(&catalog.latest("hall").expect("it is there"), &first), "it is what it was");
        assert_eq!(catalog.list().iter().map(|layout| layout.id().to_string()).collect::<Vec<_>>(), ["hall", "x"]);
        assert!(catalog.delete("hall") && !catalog.delete("hall") && catalog.latest("hall").is_none());
    }

    #[test]
    fn all_together_take_no_more_than_they_may() {
        let (catalog, first) = (Catalog::default(), layout("hall", 1));
        let one = first.bytes();
        assert!(one > first.document().json().len() + first.document().gzip().len());
        assert_eq!(catalog.look(&first, one - 1), Put::TooLarge);
        assert_eq!(catalog.look(&first, one), Put::New);
        catalog.put(Arc::clone(&first));
        assert_eq!(catalog.look(&layout("hall", 1), 0), Put::Known, "it is there and takes nothing more");
        let both = one + layout("hall", 2).bytes();
        assert_eq!(catalog.look(&layout("hall", 2), both - 1), Put::TooLarge);
        assert_eq!(catalog.look(&layout("hall", 2), both), Put::NewVersion);
        catalog.put(layout("hall", 2));
        catalog.put(layout("hall", 1));
        assert_eq!(catalog.bytes(), both);
        catalog.delete("hall");
        assert_eq!(catalog.bytes(), 0);
    }
}
