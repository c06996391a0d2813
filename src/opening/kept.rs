//! Layouts that were put in an earlier life, or by another server of the same Redis: behind those of `LAYOUTS_DIR`,
//! which say what is the latest.
//!
//! Files are read once, before any port is bound. Redis is asked by whoever becomes its writer, since another one may
//! have been that in between; nodes of a cluster ask it again and again, and before they answer for layouts.
//! Invariant: what is not in Redis any more has been lost there, and is written anew, unless it was deleted. Never
//! here: what a layout is.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::config::{Store, StoreSettings};
use crate::layout::Layout;
use crate::layout::catalog::Catalog;
use crate::limits::cluster::CLUSTER_BEAT_MS;
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
    /// What Redis had when it was last asked by a node among several: one asks, or changes that, at a time.
    order: Arc<Mutex<Vec<String>>>,
}

impl Shared {
    /// Takes in what other nodes have done.
    fn catch_up(&self) -> Result<(), StoreError> {
        let mut last = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let order = self.shelf.order()?;
        if *last == order {
            return Ok(());
        }
        let (mut found, mut deleted) = (Vec::new(), BTreeSet::new());
        for (version, name) in order.iter().filter_map(|field| field.split_once(':')) {
            if version.is_empty() {
                deleted.insert(name);
            } else if let Some(known) = self.catalog.get(name, version) {
                found.push(known);
            } else if let Some(document) = self.shelf.document(&format!("{version}:{name}"))? {
                found.extend(Layout::parse(name, &document).ok().map(Arc::new));
            }
        }
        let all = self.catalog.list().into_iter().flat_map(|layout| self.catalog.versions(layout.id()));
        let is_there = |of: &Arc<Layout>| found.iter().any(|one| one.id() == of.id() && one.version() == of.version());
        let lost: Vec<_> = all.filter(|of| !is_there(of) && !deleted.contains(&**of.id())).collect();
        self.shelf.rewrite(lost.iter().map(|of| (&**of.id(), &**of.version(), &**of.document().json())))?;
        take(&self.catalog, lost.into_iter().chain(found).chain(self.files.iter().cloned()));
        *last = order;
        Ok(())
    }

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
        if let Err(error) = thread::Builder::new().name("layouts".into()).spawn(write) {
            tracing::error!(%error, "the layouts were not written anew: put them again");
        }
    }
}

/// The layouts of several nodes. The catalog of this node follows.
impl Keeper for Shared {
    fn put(&self, name: &str, version: &str, document: &[u8]) -> Result<(), String> {
        let _alone = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        self.shelf.put(name, version, document)
    }

    fn delete(&self, name: &str) -> Result<(), String> {
        let _alone = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        self.shelf.delete(name)
    }

    fn refresh(&self) -> Result<(), String> {
        self.catch_up().map_err(|error| error.to_string())
    }
}

/// Asks Redis again and again what other nodes have put, on a thread of its own that lives as long as the process.
///
/// # Errors
/// There is no thread to be had.
pub(crate) fn follow(keeper: Arc<dyn Keeper>) -> io::Result<()> {
    let ask = move || {
        loop {
            thread::park_timeout(Duration::from_millis(CLUSTER_BEAT_MS));
            if let Err(error) = keeper.refresh() {
                tracing::debug!(%error, "the layouts in Redis are read when it answers");
            }
        }
    };
    thread::Builder::new().name("layouts".into()).spawn(ask).map(drop)
}

/// Where layouts that are put are kept, if anything is, and what several servers share.
pub(crate) type Kept = (Option<Arc<dyn Keeper>>, Option<Shared>);

/// Takes what was put in an earlier life into the catalog, which has the layouts of files. Redis is asked at once only
/// where rooms of a file may need it, or by a node among several: whoever becomes its writer asks it anyway.
///
/// # Errors
/// One line: the place cannot be used.
pub(crate) fn read(store: &StoreSettings, (at_once, is_node): (bool, bool), catalog: &Catalog) -> Result<Kept, String> {
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
            let shared = Shared { shelf: Arc::clone(&shelf), catalog: catalog.clone(), files, order: Arc::default() };
            if at_once && let Err(error) = shared.read() {
                tracing::debug!(%error, "the layouts in Redis are read when it answers");
            }
            let keeper: Arc<dyn Keeper> = if is_node { Arc::new(shared.clone()) } else { shelf };
            Ok((Some(keeper), Some(shared)))
        }
    }
}

fn fill(catalog: &Catalog, found: &[Found], files: &[Arc<Layout>]) {
    let found = found.iter().filter_map(|(name, document)| Layout::parse(name, document).ok()).map(Arc::new);
    // What a file of today says is the latest.
    take(catalog, found.chain(files.iter().cloned()));
}

fn take(catalog: &Catalog, all: impl Iterator<Item = Arc<Layout>>) {
    for layout in catalog.begin(all) {
        tracing::warn!(layout = %layout.id(), "there are too many layouts: this one is left out");
    }
}
