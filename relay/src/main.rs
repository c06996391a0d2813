//! `butaca-relay`: carries the log of a server into MongoDB and to a webhook, at least once, in order per room.
//!
//! Pure: `event`, `page` (answers of the log), `orders` (last state of each), `hook` (messages of webhooks and
//! answers), `pace`, `figures`. With I/O: `source`, `mongo`, `webhook`, `cursor`, `serve`. `pump` is the loop of one
//! sink.

mod cli;
mod clock;
mod cursor;
mod event;
mod figures;
mod hook;
mod limits;
mod mongo;
mod orders;
mod pace;
mod page;
mod pump;
mod serve;
mod source;
mod stop;
mod tries;
mod webhook;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use clap::Parser;
use clap::error::ErrorKind;
use futures_util::future::select_all;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use cli::{Cli, From, wrong};
use clock::wall_ms;
use figures::Figures;
use limits::{GRACE, REPORT_EVERY};
use pump::{Cursor, Database, Pump, Sink};
use source::Source;
use stop::Stop;
use tries::Tries;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // What was asked for is not an error; everything else is one of usage.
            let is_asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            drop(error.print());
            return ExitCode::from(if is_asked { 0 } else { 64 });
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.expect("a thread can wait").block_on(run(&cli)) {
        Ok(()) => {
            say("stopped");
            ExitCode::SUCCESS
        }
        Err(stop) => {
            say(&stop.to_string());
            ExitCode::from(stop.code())
        }
    }
}

/// Says one line.
pub(crate) fn say(line: &str) {
    eprintln!("butaca-relay: {line}");
}

async fn run(cli: &Cli) -> Result<(), Stop> {
    if let Some(why) = wrong(cli) {
        return Err(Stop::Usage(why.into()));
    }
    let (end, ending) = watch::channel(false);
    let pumps = pumps(cli, &Tries::new(ending)).await?;
    let figures: Vec<Arc<Figures>> = pumps.iter().map(|pump| Arc::clone(&pump.figures)).collect();
    if let Some(port) = cli.metrics_port {
        serve::serve(port, figures.clone()).await?;
    }
    let [mut term, mut int] = [SignalKind::terminate(), SignalKind::interrupt()]
        .map(|kind| signal(kind).expect("a signal can be waited for"));
    tokio::spawn(report(figures.clone()));
    let mut running: Vec<_> = pumps.iter().map(|pump| Box::pin(pump.run())).collect();
    let mut grace = Box::pin(async {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        end.send_replace(true);
        tokio::time::sleep(GRACE).await;
    });
    let mut result = Ok(());
    while !running.is_empty() {
        tokio::select! {
            (done, _, rest) = select_all(running) => {
                running = rest;
                if let Err(stop) = done {
                    // The other sink finishes what it has begun.
                    result = result.and(Err(stop));
                    end.send_replace(true);
                }
            }
            () = &mut grace => break,
        }
    }
    figures.iter().for_each(|figures| say(&figures.line(wall_ms())));
    result
}

/// A pump for each sink.
async fn pumps(cli: &Cli, tries: &Tries) -> Result<Vec<Pump>, Stop> {
    let key = cli.key_file.as_deref().map(text_of).transpose()?;
    let url = cli.mongo_file.as_deref().map(text_of).transpose()?.or_else(|| cli.mongo.clone());
    let database = match url {
        Some(url) => Some(Arc::new(Database::new(mongo::open(&url).await?))),
        None => None,
    };
    let mut sinks = Vec::new();
    if let Some(database) = &database {
        sinks.push(("mongo", Sink::Mongo(Arc::clone(database))));
    }
    if let (Some(url), Some(secret)) = (&cli.webhook, &cli.secret_file) {
        let read = hook::Secret::read(&text_of(secret)?);
        let secret = read.map_err(|why| Stop::Usage(format!("{}: {why}", secret.display())))?;
        let hook = webhook::Webhook::new(url, &cli.source, secret)?;
        let cursor = match (&cli.cursor_file, database) {
            (Some(path), _) => Cursor::File(cursor::CursorFile::new(path)),
            (None, Some(database)) => Cursor::Mongo(database),
            (None, None) => unreachable!("the command line was checked"),
        };
        sinks.push(("webhook", Sink::Webhook { hook: Box::new(hook), cursor }));
    }
    let pump = |(name, sink)| {
        Ok(Pump {
            sink,
            source: Source::new(&cli.server, key.clone())?,
            tries: tries.clone(),
            figures: Arc::new(Figures::new(name, wall_ms())),
            from_oldest: cli.from == From::Oldest,
        })
    };
    sinks.into_iter().map(pump).collect()
}

/// What a file of a secret has, without the end of its line.
fn text_of(path: &Path) -> Result<String, Stop> {
    let text = std::fs::read_to_string(path).map_err(|error| Stop::Usage(format!("{}: {error}", path.display())))?;
    let text = text.trim();
    let is_good = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
    is_good.then(|| text.to_owned()).ok_or_else(|| Stop::Usage(format!("{}: this is no secret", path.display())))
}

/// Prints counts and lag while there is something new.
async fn report(all: Vec<Arc<Figures>>) {
    let mut told = vec![(0, 0); all.len()];
    loop {
        tokio::time::sleep(REPORT_EVERY).await;
        for (figures, told) in all.iter().zip(&mut told) {
            let now = (figures.delivered.load(Relaxed), figures.retries.load(Relaxed));
            if now != *told {
                *told = now;
                say(&figures.line(wall_ms()));
            }
        }
    }
}
