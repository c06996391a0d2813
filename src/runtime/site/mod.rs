//! The site: HTTP answers on the shards' port. `/health`, `/ready`, `/stats`, `/metrics`,
//! `/room/{room_id}/selections`, `/layouts/{layout}/{version}`, `/` and the files of the page.
//!
//! `/health` is answered at once from the board, so that it works while a shard does not. What only the shards know
//! is asked of them by mail ([`asking`]); who waits for that is kept in [`gathers`]. Bodies are made once for all who
//! ask for the same: figures ten times a second at most, selections once a change, `/health` once a change of what it
//! says. Invariant: requests behind one that is being answered wait. Never here: sockets, seats.

mod answer;
mod asking;
pub(crate) mod exchange;
pub(crate) mod gathers;
pub(crate) mod health;
mod layouts;
pub(crate) mod letters;
pub(crate) mod rooms;
pub(crate) mod sight;

use crate::audience::shared::SharedBytes;
use crate::files::PAGE;
use crate::limits::HTTP_REQUESTS_MAX;
use crate::runtime::core::Core;
use crate::runtime::site::answer::Answer;
use crate::runtime::site::exchange::Exchange;
use crate::runtime::site::gathers::Page;
use crate::runtime::site::health::Facts;
use crate::runtime::site::layouts::Asked;
use crate::wire::http::Target;

/// The body of `/health`, and the facts for which it is true.
#[derive(Debug)]
pub(crate) struct Health {
    facts: Facts,
    body: SharedBytes,
}

impl Core {
    /// Answers a request that is no upgrade. `has` is what the client has got already.
    pub(crate) fn respond(&mut self, exchange: Exchange, target: &Target, has: Option<&[u8]>) {
        let keep_alive = self.count_request(exchange.slot) && exchange.keep_alive;
        let exchange = Exchange { keep_alive, ..exchange };
        match target {
            Target::Health | Target::Ready => self.answer_health(exchange),
            Target::Stats if self.site.public_stats => self.ask_for_figures(exchange, Page::Stats),
            Target::Metrics if self.site.public_stats => self.ask_for_figures(exchange, Page::Metrics),
            Target::Selections { room } => self.ask_for_selections(exchange, room),
            Target::Layout { layout, version, takes_gzip } => {
                self.answer_layout(exchange, Asked { layout, version, takes_gzip: *takes_gzip, has });
            }
            Target::Home => self.answer_file(exchange, &PAGE),
            Target::Options => self.answer_options(exchange),
            Target::File(file) => self.answer_file(exchange, file),
            Target::Stats | Target::Metrics | Target::NotFound | Target::Socket { .. } => {
                self.answer_nothing_there(exchange);
            }
        }
    }

    fn answer_nothing_there(&mut self, exchange: Exchange) {
        self.answer_message(exchange, 404, "there is nothing at this path", &[]);
    }

    /// Counts a request, and says whether another may follow.
    fn count_request(&mut self, slot: u32) -> bool {
        let Some(socket) = self.sockets.get_mut(slot) else { return false };
        socket.requests += 1;
        u32::from(socket.requests) < HTTP_REQUESTS_MAX && socket.surplus.is_none() && !self.board.is_draining()
    }

    fn answer_health(&mut self, exchange: Exchange) {
        let facts = self.sight().facts();
        let status = facts.verdict().0;
        let health = match self.health.take().filter(|health| health.facts == facts) {
            Some(health) => health,
            None => Health { body: self.shared(facts.body().into_bytes()), facts },
        };
        self.respond_with(exchange, Answer::json(status), &health.body);
        self.health = Some(health);
    }
}
