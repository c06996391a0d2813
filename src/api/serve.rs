//! The API's connections: accepting, time-outs, and an end in which what was asked is still answered.
//!
//! Invariants: connections are bounded, and so is the time that one may be idle, take for a head or not take its
//! answer; when every place is taken, those from whom nothing has come that they may ask give theirs to the next, the
//! oldest first; when the server ends nothing waits for longer than [`API_FINISH_MS`]. Never here: what a request says.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use futures_lite::future::or;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::net::listen;
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::Server;
use super::dispatch::routes;
use super::gate::Known;
use crate::limits::ACCEPT_BACKLOG;
use crate::limits::api::{
    API_ACCEPT_RETRY_MS, API_CONNECTIONS_MAX, API_DOORSTEP_MS, API_FINISH_MS, API_HEAD_BYTES_MAX, API_HEAD_FIELDS_MAX,
    API_HEAD_MS, API_UNSENT_MS,
};

/// What a connection that is one too many is told.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Connections by which nobody has asked yet what he may, the oldest first.
#[derive(Default)]
struct Strangers(VecDeque<(AbortHandle, Known)>);

impl Strangers {
    fn note(&mut self, task: AbortHandle, known: Known) {
        if self.0.len() >= API_CONNECTIONS_MAX {
            self.0.retain(|(task, known)| !task.is_finished() && !known.is());
        }
        self.0.push_back((task, known));
    }

    /// Ends the oldest of them. Says whether there was one.
    fn give_place(&mut self) -> bool {
        while let Some((task, known)) = self.0.pop_front() {
            if !task.is_finished() && !known.is() {
                task.abort();
                return true;
            }
        }
        false
    }
}

/// Serves until it is told to end.
pub(super) async fn serve(listener: std::net::TcpListener, server: Arc<Server>) -> io::Result<()> {
    // The library asks for 128 waiting connections: a crowd beyond that is told to come again, a second later.
    listen(&listener, ACCEPT_BACKLOG)?;
    let listener = TcpListener::from_std(listener)?;
    let router = routes(&server);
    let places = Arc::new(Semaphore::new(API_CONNECTIONS_MAX));
    let mut strangers = Strangers::default();
    let ends = server.ends.subscribe();
    tokio::spawn(obey(Arc::clone(&server)));
    tokio::spawn({
        let server = Arc::clone(&server);
        async move { server.bodies.give_back().await }
    });
    tokio::spawn({
        let server = Arc::clone(&server);
        async move { server.shards.hand_out().await }
    });
    while let Some(accepted) = until_end(listener.accept(), ends.clone()).await {
        match accepted {
            Ok((stream, _)) => accept(stream, &places, &mut strangers, (&router, &ends)),
            Err(error) => {
                tracing::debug!(%error, "a connection of the API could not be accepted");
                sleep(Duration::from_millis(API_ACCEPT_RETRY_MS)).await;
            }
        }
    }
    drop(listener);
    let all = u32::try_from(API_CONNECTIONS_MAX).expect("small");
    timeout(Duration::from_millis(API_FINISH_MS), places.acquire_many(all)).await.ok();
    Ok(())
}

/// Reads the keys again when somebody says so.
async fn obey(server: Arc<Server>) {
    loop {
        server.rereads.notified().await;
        server.gate.reread();
    }
}

/// What comes of it, unless the server ends before.
async fn until_end<T>(future: impl Future<Output = T>, mut ends: watch::Receiver<bool>) -> Option<T> {
    // Nobody is left to say it: that is an end, too.
    let end = async move {
        ends.wait_for(|&ends| ends).await.ok();
        None
    };
    or(end, async { Some(future.await) }).await
}

fn accept(
    stream: TcpStream,
    places: &Arc<Semaphore>,
    strangers: &mut Strangers,
    (router, ends): (&Router, &watch::Receiver<bool>),
) {
    let free = Arc::clone(places).try_acquire_owned().ok();
    if free.is_none() && !strangers.give_place() {
        // A fresh socket takes so little at once, or nobody waits for it.
        return drop(stream.try_write(FULL));
    }
    // Where these cannot be set, the connection has gone.
    stream.set_nodelay(true).ok();
    set_tcp_user_timeout(&stream, API_UNSENT_MS).ok();
    let known = Known::default();
    let (router, ends) = (router.clone().layer(Extension(known.clone())), ends.clone());
    let places = Arc::clone(places);
    let task = tokio::spawn(async move {
        let place = match free {
            Some(place) => Some(place),
            // Whoever gave its place ends in a moment.
            None => {
                timeout(Duration::from_millis(API_DOORSTEP_MS), places.acquire_owned()).await.ok().and_then(Result::ok)
            }
        };
        if place.is_some() {
            connection(stream, router, ends).await;
        } else {
            drop(stream.try_write(FULL));
        }
    });
    strangers.note(task.abort_handle(), known);
}

async fn connection(stream: TcpStream, router: Router, ends: watch::Receiver<bool>) {
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(API_HEAD_MS))
        .max_headers(API_HEAD_FIELDS_MAX)
        .max_buf_size(API_HEAD_BYTES_MAX)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut serving = pin!(serving);
    // How a connection breaks is its peer's affair.
    if until_end(serving.as_mut(), ends).await.is_none() {
        serving.as_mut().graceful_shutdown();
        serving.await.ok();
    }
}
