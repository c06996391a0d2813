//! `/metrics` on loopback.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::clock::wall_ms;
use crate::figures::{Figures, metrics};
use crate::stop::Stop;

/// Serves on this port from now on.
pub(crate) async fn serve(port: u16, figures: Vec<Arc<Figures>>) -> Result<(), Stop> {
    let wrong = |error: std::io::Error| Stop::Machine(format!("127.0.0.1:{port}: {error}"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(wrong)?;
    crate::say(&format!("metrics http://{}/metrics", listener.local_addr().map_err(wrong)?));
    let answer = move || {
        let all: Vec<&Figures> = figures.iter().map(AsRef::as_ref).collect();
        let text = metrics(&all, wall_ms());
        async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text) }
    };
    let router = Router::new().route("/metrics", get(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(())
}
