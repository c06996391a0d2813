//! A log that nobody reads, or that cannot be written, under a server whose store comes and goes: both are said in the
//! log, and neither may wait for it.

use crate::failing::{through_proxy, until_status};
use crate::harness::pipe::full_pipe;
use crate::harness::{Client, Server, eventually};
use crate::home::{held, stop};
use crate::proxy::Fault;

/// A standard error that takes nothing, and what keeps it so.
fn deaf(hangs: bool) -> (std::process::Stdio, Option<std::io::PipeReader>) {
    let (reader, writer) = full_pipe();
    (writer.into(), hangs.then_some(reader))
}

#[test]
fn a_store_that_comes_back_is_written_although_the_log_hangs() {
    for (durability, hangs) in [("window", true), ("durable", true), ("window", false)] {
        let (home, proxy) = through_proxy(durability);
        let (stderr, reader) = deaf(hangs);
        let mut command = home.command();
        command.stderr(stderr);
        let server = Server::run(command);
        let mut ana = Client::join(&server, "ana", "show");
        for (seat, changes) in [("A1", 1), ("A2", 2)] {
            proxy.set(Fault::Refuse);
            let (code, status) = if home.is_durable() { (503, "unavailable") } else { (200, "degraded") };
            until_status(&server, code, status);
            proxy.set(Fault::None);
            until_status(&server, 200, "healthy");
            ana.select("show", seat);
            assert_eq!(ana.json()["type"], "seat_selected", "{durability}");
            eventually("it is written", || (server.stats()["store"]["changes"] == changes).then_some(()));
        }
        stop(server);
        drop((ana, reader));
        assert_eq!(held(&home.start(), "show").len(), 2);
    }
}
