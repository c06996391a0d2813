//! Layouts that were put in an earlier life, or by another server of the same Redis: behind those of `LAYOUTS_DIR`,
//! which say what is the latest.
//!
//! Files are read once, before any port is bound. Redis is asked by whoever becomes its writer, since another one may
//! have been that in between. Never here: what a layout is.

use std::sync::Arc;

use crate::config::{Store, StoreSettings};
use crate::layout::Layout;
use crate::layout::catalog::Catalog;
use crate::persist::stores::redis::layouts::RedisShelf;
use crate::persist::stores::shelf::{Found, Keeper, Shelf};
use crate::persist::stores::store::StoreError;

/// The layouts of all servers of a Redis.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    shelf: Arc<RedisShelf>,
    catalog: Catalog,
    /// Those of `LAYOUTS_DIR`.
    files: Vec<Arc<Layout>>,
}

impl Shared {
    /// Reads them, and lets the catalog have these and no others.
    ///
    /// # Errors
    /// Redis is away.
    pub(crate) fn read(&self) -> Result<(), StoreError> {
        let found = self.shelf.read()?;
        fill(&self.catalog, &found, &self.files);
        Ok(())
    }

    /// Redis has lost what it had: writes them anew, on a thread of its own.
    pub(crate) fn rewrite(&self) {
        let of = self.clone();
        let write = move || {
            let all: Vec<_> = of.catalog.list().iter().flat_map(|layout| of.catalog.versions(layout.id())).collect();
            let all = all.iter().map(|layout| (&**layout.id(), &**layout.version(), &**layout.document().json()));
            if let Err(error) = of.shelf.rewrite(all) {
                tracing::error!(%error, "the layouts could not be written anew: put them again");
            }
        };
        if let Err(error) = std::thread::Builder::new().name("layouts".into()).spawn(write) {
            tracing::error!(%error, "the layouts were not written anew: put them again");
        }
    }
}

/// Where layouts that are put are kept, if anything is, and what several servers share.
pub(crate) type Kept = (Option<Arc<dyn Keeper>>, Option<Shared>);

/// Takes what was put in an earlier life into the catalog, which has the layouts of files. Redis is asked at once only
/// where rooms of a file may need it: whoever becomes its writer asks it anyway.
///
/// # Errors
/// One line: the place cannot be used.
pub(crate) fn read(store: &StoreSettings, at_once: bool, catalog: &Catalog) -> Result<Kept, String> {
    let files = catalog.list();
    match store.promise.store {
        Store::Memory => Ok((None, None)),
        Store::Embedded => {
            let version = |name: &str, document: &[u8]| Some(Layout::parse(name, document).ok()?.version().to_string());
            let (shelf, found) = Shelf::open(&store.data_dir, version).map_err(|error| format!("DATA_DIR: {error}"))?;
            fill(catalog, &found, &files);
            Ok((Some(Arc::new(shelf)), None))
        }
        Store::Redis => {
            // What is wrong with the address is said where the store is opened.
            let Ok(shelf) = RedisShelf::new(&store.redis).map(Arc::new) else { return Ok((None, None)) };
            let shared = Shared { shelf: Arc::clone(&shelf), catalog: catalog.clone(), files };
            if at_once && let Err(error) = shared.read() {
                tracing::debug!(%error, "the layouts in Redis are read when it answers");
            }
            Ok((Some(shelf), Some(shared)))
        }
    }
}

fn fill(catalog: &Catalog, found: &[Found], files: &[Arc<Layout>]) {
    let found = found.iter().filter_map(|(name, document)| Layout::parse(name, document).ok()).map(Arc::new);
    // What a file of today says is the latest.
    for layout in catalog.begin(found.chain(files.iter().cloned())) {
        tracing::warn!(layout = %layout.id(), "there are too many layouts: this one is left out");
    }
}
