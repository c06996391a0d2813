//! Posts events: one after the other in a room, several rooms at a time. What is posted stands in `hook`.

use std::sync::atomic::Ordering::Relaxed;

use futures_util::StreamExt;
use futures_util::stream::iter;
use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};

use crate::clock::wall_ms;
use crate::event::{Event, shown};
use crate::figures::Figures;
use crate::hook::{self, Secret, Verdict};
use crate::limits::{ANSWER_BYTES_MAX, DELIVERY_TIMEOUT, ROOMS_AT_ONCE_MAX};
use crate::pace::retry_after_ms;
use crate::source::{Later, Trouble, causes, start_of};
use crate::stop::Stop;
use crate::tries::Tries;

/// An address that takes events.
pub(crate) struct Webhook {
    client: Client,
    url: String,
    source: String,
    secret: Secret,
}

impl Webhook {
    pub(crate) fn new(url: &str, source: &str, secret: Secret) -> Result<Self, Stop> {
        let builder = Client::builder().timeout(DELIVERY_TIMEOUT).redirect(reqwest::redirect::Policy::none());
        let builder = builder.user_agent(concat!("butaca-relay/", env!("CARGO_PKG_VERSION")));
        let client = builder.build().map_err(|error| Stop::Usage(format!("--webhook: {}", causes(&error))))?;
        Ok(Self { client, url: url.to_owned(), source: source.to_owned(), secret })
    }

    /// Posts these events until each is taken, one is refused for good, or the relay is to end. How many from the first
    /// on are taken, and why it went no further.
    pub(crate) async fn deliver(&self, events: &[Event], tries: &Tries, figures: &Figures) -> (usize, Option<Stop>) {
        let rooms = hook::by_room(events);
        let done = iter(rooms).map(|places| self.room(events, places, tries, figures));
        let done: Vec<(Vec<usize>, Option<Stop>)> = done.buffer_unordered(ROOMS_AT_ONCE_MAX).collect().await;
        let mut taken = vec![false; events.len()];
        let mut why = None;
        for (places, stop) in done {
            places.into_iter().for_each(|at| taken[at] = true);
            why = why.or(stop);
        }
        (hook::confirmed(&taken), why)
    }

    /// Posts the events of a room; the places of those that were taken.
    async fn room(
        &self,
        events: &[Event],
        places: Vec<usize>,
        tries: &Tries,
        figures: &Figures,
    ) -> (Vec<usize>, Option<Stop>) {
        for (done, &at) in places.iter().enumerate() {
            let taken = tries.until_done(|| self.post(&events[at]), &figures.retries, "the webhook").await;
            match taken {
                Ok(Some(())) => _ = figures.delivered.fetch_add(1, Relaxed),
                Ok(None) => return (places[..done].to_vec(), None),
                Err(stop) => return (places[..done].to_vec(), Some(stop)),
            }
        }
        (places, None)
    }

    async fn post(&self, event: &Event) -> Result<(), Trouble> {
        let message = hook::message(event, &self.source, &self.secret, wall_ms());
        let mut request = self.client.post(&self.url).header(CONTENT_TYPE, hook::CONTENT_TYPE);
        for (name, value) in message.headers {
            request = request.header(name, value);
        }
        let sent = request.body(message.body).send().await;
        let mut answer = sent.map_err(|error| Trouble::Later(Later::new(causes(&error))))?;
        let status = answer.status().as_u16();
        let after_ms = retry_after_ms(answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()));
        let said = start_of(&mut answer, ANSWER_BYTES_MAX).await;
        match hook::verdict(status) {
            Verdict::Taken => Ok(()),
            Verdict::Again => Err(Trouble::Later(Later { why: format!("it answers {status}"), after_ms })),
            Verdict::Poison => Err(Trouble::Stop(Stop::Poison(format!(
                "the webhook refuses event {} ({status}): {}. Nothing behind it is delivered to this room. Mend the \
                 receiver and start the relay again",
                event.id,
                shown(&said)
            )))),
        }
    }
}
