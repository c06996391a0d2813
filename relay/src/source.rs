//! Asks the server's log. What its answers mean stands in `page`.

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response};

use crate::event::Event;
use crate::limits::{PAGE_BYTES_MAX, READ_TIMEOUT, SHOWN_CHARS_MAX};
use crate::pace::retry_after_ms;
use crate::page::{Lines, Meaning, meaning, question};
use crate::stop::Stop;

/// Why there is no answer now, and how long to wait at least.
#[derive(Debug)]
pub(crate) struct Later {
    pub(crate) why: String,
    pub(crate) after_ms: Option<u64>,
}

impl Later {
    pub(crate) fn new(why: impl std::fmt::Display) -> Self {
        Self { why: why.to_string(), after_ms: None }
    }
}

/// What could not be done: not now, or never.
#[derive(Debug)]
pub(crate) enum Trouble {
    Later(Later),
    Stop(Stop),
}

/// The log of a server.
pub(crate) struct Source {
    client: Client,
    url: String,
    key: Option<String>,
}

impl Source {
    pub(crate) fn new(server: &str, key: Option<String>) -> Result<Self, Stop> {
        let builder = Client::builder().timeout(READ_TIMEOUT).redirect(reqwest::redirect::Policy::none()).no_proxy();
        let client = builder.build().map_err(|error| Stop::Usage(format!("the client: {}", causes(&error))))?;
        Ok(Self { client, url: format!("{}/v1/events", server.trim_end_matches('/')), key })
    }

    /// What follows this cursor; nothing when nothing has happened for a while.
    pub(crate) async fn read(&self, after: Option<&str>) -> Result<Vec<Event>, Trouble> {
        let mut request = self.client.get(&self.url).query(&question(after)).header("accept", "application/x-ndjson");
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let mut answer = request.send().await.map_err(|error| Trouble::Later(Later::new(causes(&error))))?;
        let status = answer.status().as_u16();
        if status == 200 {
            return page(&mut answer).await;
        }
        let after_ms = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let after_ms = retry_after_ms(after_ms);
        let detail = start_of(&mut answer, SHOWN_CHARS_MAX).await;
        Err(match meaning(status, &detail) {
            Meaning::Stop(stop) => Trouble::Stop(stop),
            Meaning::Later | Meaning::Events => {
                Trouble::Later(Later { why: format!("the server answers {status}"), after_ms })
            }
        })
    }
}

/// Reads a page. What was whole before the connection broke is a page, too.
async fn page(answer: &mut Response) -> Result<Vec<Event>, Trouble> {
    let mut lines = Lines::default();
    let broken = loop {
        match answer.chunk().await {
            Ok(Some(piece)) if lines.take(&piece) => {}
            Ok(_) => break None,
            Err(error) => break Some(causes(&error)),
        }
    };
    let events = lines.events().map_err(Trouble::Stop)?;
    match broken {
        Some(why) if events.is_empty() => Err(Trouble::Later(Later::new(why))),
        _ => Ok(events),
    }
}

/// The beginning of a body, for a line that says what is wrong.
pub(crate) async fn start_of(answer: &mut Response, bytes_max: usize) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < bytes_max.min(PAGE_BYTES_MAX) {
        match answer.chunk().await {
            Ok(Some(piece)) => bytes.extend_from_slice(&piece[..piece.len().min(bytes_max - bytes.len())]),
            Ok(None) | Err(_) => break,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An error with its causes: the first line of reqwest's says only that there was one. Without the address, which may
/// have a password in it.
pub(crate) fn causes(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    if error.is_timeout() { "it took too long".into() } else { innermost.to_string() }
}
