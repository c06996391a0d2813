//! A disk that is full under the embedded store of a running server.

use std::time::Duration;

use crate::failing::until_status;
use crate::harness::{Client, Stopwatch, eventually};
use crate::home::{Home, held, kill};
use crate::small_disk::SmallDisk;

/// A seat with more about its holder than a full disk takes.
fn select_big(client: &mut Client, seat: &str) {
    let note = "x".repeat(3_000);
    client.send(&format!(
        r#"{{"type":"select_seat","room_id":"show","seat_id":"{seat}","user_info":{{"note":"{note}"}}}}"#
    ));
}

fn on_small_disk(durability: &str) -> Option<(SmallDisk, Home)> {
    let disk = SmallDisk::new("6m")?;
    let mut home = Home::embedded(durability);
    home.set("DATA_DIR", &disk.path().join("data").display().to_string());
    home.set("MAX_SEATS_PER_CLIENT", "0");
    Some((disk, home))
}

#[test]
fn in_window_mode_the_sale_goes_on_with_a_full_disk() {
    let Some((disk, home)) = on_small_disk("window") else { return };
    let server = home.start();
    let mut ana = Client::join(&server, "ana", "show");
    disk.fill(0);
    let mut seats = 0;
    let body = eventually("it says so", || {
        select_big(&mut ana, &seats.to_string());
        assert_eq!(ana.json()["type"], "seat_selected");
        seats += 1;
        let body = server.get("/health").json();
        (body["status"] == "degraded").then_some(body)
    });
    assert!(body["store_error"].as_str().is_some_and(|error| error.contains("space")), "{body}");
    disk.free();
    let (took, _) = until_status(&server, 200, "healthy");
    assert!(took < Duration::from_secs(2), "{took:?}");
    eventually("it has caught up", || (server.stats()["store"]["changes"] == seats).then_some(()));
    kill(server);
    assert_eq!(held(&home.start(), "show").len(), seats);
}

#[test]
fn in_durable_mode_a_full_disk_refuses_and_loses_nothing() {
    let Some((disk, home)) = on_small_disk("durable") else { return };
    let server = home.start();
    let mut ana = Client::join(&server, "ana", "show");
    let mut told = Vec::new();
    disk.fill(0);
    for n in 0.. {
        let (seat, asked) = (n.to_string(), Stopwatch::start());
        select_big(&mut ana, &seat);
        let answer = ana.json();
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
        if answer["code"] == "persistence_unavailable" {
            break;
        }
        assert_eq!(answer["type"], "seat_selected", "{answer}");
        told.push(seat);
    }
    until_status(&server, 503, "unavailable");
    // A crash while the disk is full, and a start on it: what was told is still there.
    kill(server);
    let server = home.start_waiting();
    let seen = eventually("it serves, or says why not", || {
        let body = server.get("/health").json();
        (body["status"] != "starting" || body["store_error"].is_string()).then_some(body)
    });
    println!("a start on a full disk: {seen}");
    disk.free();
    until_status(&server, 200, "healthy");
    told.sort();
    let back: Vec<String> = held(&server, "show").into_iter().map(|(seat, _)| seat).collect();
    assert_eq!(back, told);
    let mut eve = Client::join(&server, "eve", "show");
    eventually("it sells again", || {
        eve.select("show", "after");
        let answer = eve.json();
        (answer["type"] == "seat_selected").then_some(())
    });
}
