//! The API's connections: accepting, time-outs, and an end in which what was asked is still answered.
//!
//! Invariants: connections are bounded, and so is the time that one may be idle, take for a head or not take its
//! answer; when the server ends nothing waits for longer than [`API_FINISH_MS`]. Never here: what a request says.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_lite::future::or;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt::set_tcp_user_timeout;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::Server;
use super::dispatch::routes;
use crate::limits::api::{
    API_ACCEPT_RETRY_MS, API_CONNECTIONS_MAX, API_FINISH_MS, API_HEAD_BYTES_MAX, API_HEAD_FIELDS_MAX, API_HEAD_MS,
    API_UNSENT_MS,
};

/// What a connection that is one too many is told.
const FULL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Serves until it is told to end.
pub(super) async fn serve(listener: std::net::TcpListener, server: Arc<Server>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let router = routes(&server);
    let places = Arc::new(Semaphore::new(API_CONNECTIONS_MAX));
    let ends = server.ends.subscribe();
    tokio::spawn(obey(Arc::clone(&server)));
    tokio::spawn({
        let server = Arc::clone(&server);
        async move { server.shards.hand_out().await }
    });
    while let Some(accepted) = until_end(listener.accept(), ends.clone()).await {
        match accepted {
            Ok((stream, _)) => accept(stream, &places, &router, &ends),
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

fn accept(stream: TcpStream, places: &Arc<Semaphore>, router: &Router, ends: &watch::Receiver<bool>) {
    let Ok(place) = Arc::clone(places).try_acquire_owned() else {
        // A fresh socket takes so little at once, or nobody waits for it.
        return drop(stream.try_write(FULL));
    };
    // Where these cannot be set, the connection has gone.
    stream.set_nodelay(true).ok();
    set_tcp_user_timeout(&stream, API_UNSENT_MS).ok();
    let (router, ends) = (router.clone(), ends.clone());
    tokio::spawn(async move {
        connection(stream, router, ends).await;
        drop(place);
    });
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
