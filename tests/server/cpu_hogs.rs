//! Under processes that take every core: commands through both shards are answered, no wake-up is lost for good.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{Server, Watcher, room_on};

/// Busy threads, one for each core and one more, for as long as the test goes on.
struct Hogs<'a>(&'a AtomicBool);

impl Drop for Hogs<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn shards_under_cpu_hogs_alone() {
    let server = Server::start(&[("SHARDS", "2"), ("MAX_SEATS_PER_CLIENT", "0")]);
    let stop = AtomicBool::new(false);
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..2 * cores {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        // Ends the hogs whatever happens below.
        let _hogs = Hogs(&stop);
        let rooms = [room_on(0, 2), room_on(1, 2)];
        let mut clients: Vec<Watcher> = (0..2)
            .map(|number| Watcher::join(&server, &format!("c{number}"), &[&rooms[number], &rooms[1 - number]]))
            .collect();
        // 300 commands, one at a time, so that both shards fall asleep and are woken again and again, also by mail
        // alone.
        for round in 0..150 {
            for number in 0..2 {
                let room = &rooms[round % 2];
                let seat = format!("S{round} of {number}");
                clients[number].client.select(room, &seat);
                clients[number].until("seat_selected", room, &seat);
                clients[1 - number].until("seat_selected", room, &seat);
            }
        }
    });
    let pokes = server.figure("watchdog_pokes");
    println!("watchdog pokes under hogs: {pokes}");
    assert!(pokes <= 10, "the watchdog may help once in a while, not carry the server: {pokes}");
}
