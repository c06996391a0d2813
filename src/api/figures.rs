//! `/stats` and `/metrics` on the API's port: the figures of all shards, asked for by letter.
//!
//! As on the port of the clients, a gathering serves all who asked before it began, and the next one begins
//! [`SITE_PAUSE_MS`] after it, so that who asks often costs the shards little. Never here: what figures look like.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use super::shards::Shards;
use crate::clock::Clock;
use crate::engine::ids::ShardId;
use crate::figures::stats::ShardFigures;
use crate::limits::site::{SITE_ANSWER_MS, SITE_PAUSE_MS};
use crate::runtime::desk::{DeskQuestion, DeskTold};

/// The last gathering.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    /// When it began, and what was told.
    last: Mutex<Option<(u64, Gathered)>>,
}

/// What the shards told.
#[derive(Clone, Debug)]
pub(super) struct Gathered {
    /// In the order of the shards.
    pub(super) shards: Vec<ShardFigures>,
    /// Shards that did not answer in time.
    pub(super) missing: usize,
}

impl Gathering {
    /// Figures that are not older than the question.
    pub(super) async fn gather(&self, shards: &Shards, clock: Clock) -> Gathered {
        let asked_us = clock.micros();
        let mut last = self.last.lock().await;
        let pause_us = SITE_PAUSE_MS * 1_000;
        if let Some((began_us, gathered)) = last.as_ref() {
            if *began_us >= asked_us {
                return gathered.clone();
            }
            sleep(Duration::from_micros((began_us + pause_us).saturating_sub(clock.micros()))).await;
        }
        let began_us = clock.micros();
        let gathered = ask_all(shards).await;
        *last = Some((began_us, gathered.clone()));
        gathered
    }
}

async fn ask_all(shards: &Shards) -> Gathered {
    let all = (0..shards.count()).map(|shard| shards.ask(ShardId::new(shard), DeskQuestion::Figures));
    let mut asked: Vec<_> = all.filter_map(Result::ok).collect();
    let mut told = Vec::new();
    let in_time = timeout(Duration::from_millis(SITE_ANSWER_MS), async {
        for asked in &mut asked {
            if let Some(DeskTold::Figures(figures)) = asked.told().await {
                told.push(*figures);
            }
        }
    });
    in_time.await.ok();
    Gathered { missing: shards.count() - told.len(), shards: told }
}
