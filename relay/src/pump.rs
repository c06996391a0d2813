//! One sink's loop: read what follows its cursor, deliver it, keep the cursor, again.
//!
//! Invariant: a cursor is kept only behind events that the sink has taken. Never here: what an answer means.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use mongodb::Client;
use tokio::sync::OnceCell;

use crate::clock::wall_ms;
use crate::cursor::CursorFile;
use crate::event::Event;
use crate::figures::Figures;
use crate::mongo::Mongo;
use crate::source::{Source, Trouble};
use crate::stop::Stop;
use crate::tries::Tries;
use crate::webhook::Webhook;

/// A database that is asked for the first time when it is needed: it may be away at the start.
pub(crate) struct Database {
    client: Client,
    mongo: OnceCell<Mongo>,
}

impl Database {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, mongo: OnceCell::new() }
    }

    async fn get(&self) -> Result<&Mongo, Trouble> {
        self.mongo.get_or_try_init(|| Mongo::connect(&self.client)).await
    }
}

/// Where events go.
pub(crate) enum Sink {
    Mongo(Arc<Database>),
    Webhook { hook: Box<Webhook>, cursor: Cursor },
}

/// Where a webhook's cursor is kept.
pub(crate) enum Cursor {
    File(CursorFile),
    Mongo(Arc<Database>),
}

/// One sink and what it needs.
pub(crate) struct Pump {
    pub(crate) sink: Sink,
    pub(crate) source: Source,
    pub(crate) tries: Tries,
    pub(crate) figures: Arc<Figures>,
    pub(crate) from_oldest: bool,
}

impl Pump {
    /// Runs until the relay is to end or can go no further.
    pub(crate) async fn run(&self) -> Result<(), Stop> {
        let kept = if self.from_oldest { Some(None) } else { self.retried(|| self.load()).await? };
        let Some(mut cursor) = kept else { return Ok(()) };
        self.say_the_start(cursor.as_deref());
        while let Some(events) = self.read(cursor.as_deref()).await? {
            self.figures.read(&events, wall_ms());
            if events.is_empty() {
                // The log has waited itself; one that does not is not asked without end.
                self.tries.wait(1, None).await;
                continue;
            }
            if !self.deliver(&events).await? {
                break;
            }
            self.figures.waits_for(&[], wall_ms());
            cursor = events.last().map(|event| event.cursor.clone());
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        self.figures.sink
    }

    fn say_the_start(&self, cursor: Option<&str>) {
        let from = cursor.map_or("with the oldest event".into(), |cursor| format!("behind cursor {cursor}"));
        let how = match &self.sink {
            Sink::Mongo(database) => match database.mongo.get().map(Mongo::has_transactions) {
                Some(true) => ", events and cursor in one transaction",
                Some(false) => ", without transactions: events first, then the cursor",
                None => "",
            },
            Sink::Webhook { .. } => "",
        };
        crate::say(&format!("{}: begins {from}{how}", self.name()));
    }

    async fn retried<T, F>(&self, once: impl FnMut() -> F) -> Result<Option<T>, Stop>
    where
        F: Future<Output = Result<T, Trouble>>,
    {
        self.tries.until_done(once, &self.figures.retries, self.name()).await
    }

    /// The next page. `None` when the relay is to end.
    async fn read(&self, cursor: Option<&str>) -> Result<Option<Vec<Event>>, Stop> {
        let asking = self.tries.until_done(|| self.source.read(cursor), &self.figures.log_failures, "the log");
        tokio::select! {
            page = asking => page,
            // Nothing is lost by not hearing the answer.
            () = self.tries.over() => Ok(None),
        }
    }

    async fn load(&self) -> Result<Option<String>, Trouble> {
        match &self.sink {
            Sink::Mongo(database) | Sink::Webhook { cursor: Cursor::Mongo(database), .. } => {
                database.get().await?.cursor(self.name()).await
            }
            Sink::Webhook { cursor: Cursor::File(file), .. } => {
                file.load().map_err(|why| Trouble::Stop(Stop::Machine(why)))
            }
        }
    }

    /// Delivers a page and keeps the cursor; whether all of it was taken.
    async fn deliver(&self, events: &[Event]) -> Result<bool, Stop> {
        match &self.sink {
            Sink::Mongo(database) => {
                let once = || async { database.get().await?.deliver(self.name(), events).await };
                let done = self.retried(once).await?.is_some();
                if done {
                    self.figures.delivered.fetch_add(events.len() as u64, Relaxed);
                }
                Ok(done)
            }
            Sink::Webhook { hook, cursor } => {
                let (taken, stop) = hook.deliver(events, &self.tries, &self.figures).await;
                if let Some(last) = taken.checked_sub(1) {
                    self.keep(cursor, &events[last].cursor).await?;
                }
                stop.map_or(Ok(taken == events.len()), Err)
            }
        }
    }

    async fn keep(&self, place: &Cursor, cursor: &str) -> Result<(), Stop> {
        match place {
            Cursor::File(file) => file.keep(cursor).map_err(Stop::Machine),
            Cursor::Mongo(database) => {
                let once = || async { database.get().await?.keep(self.name(), cursor).await };
                self.retried(once).await.map(drop)
            }
        }
    }
}
