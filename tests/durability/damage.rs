//! A store that has suffered while no server looked.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::failing::until_status;
use crate::harness::{Client, Server};
use crate::home::{Home, held, kill, stop};

/// A server that holds ten seats is killed, and a bit of its journal changes.
fn damaged(durability: &str) -> Home {
    let home = Home::embedded(durability);
    // The second life begins with a journal that is no longer than what is in it.
    stop(home.start());
    let server = home.start();
    let mut ana = Client::join(&server, "ana", "show");
    for seat in 0..10 {
        ana.select("show", &seat.to_string());
        assert_eq!(ana.json()["type"], "seat_selected");
        crate::harness::eventually("it is committed", || {
            (server.stats()["store"]["changes"] == seat + 1).then_some(())
        });
    }
    kill(server);
    let journal = journal(&home);
    let mode = fs::metadata(&journal).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "user_info stands in it");
    let mut bytes = fs::read(&journal).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&journal, bytes).expect("it is ours");
    home
}

fn journal(home: &Home) -> PathBuf {
    let files = fs::read_dir(home.data_dir().join("holds")).expect("it is there");
    let mut files = files.map(|entry| entry.expect("an entry").path());
    files.find(|path| path.extension().is_some_and(|end| end == "jnl")).expect("there is a journal")
}

fn figures(server: &Server) -> (bool, u64, u64) {
    let store = server.stats()["store"].clone();
    let number = |name: &str| store[name].as_u64().expect("a number");
    (store["damaged"] == true, number("restored"), number("restored_damaged"))
}

#[test]
fn in_window_mode_the_sale_goes_on_with_what_is_left_and_says_so() {
    let home = damaged("window");
    let server = home.start_waiting();
    let (_, body) = until_status(&server, 200, "degraded");
    assert!(body["store_error"].as_str().is_some_and(|text| text.contains("damaged")), "{body}");
    let (is_damaged, restored, missing) = figures(&server);
    assert!(is_damaged && restored > 0 && missing > 0 && restored + missing == 10, "{restored} and {missing}");
    let metrics = String::from_utf8(server.get("/metrics").body).expect("a text");
    for line in [format!("butaca_store_restored_damaged {missing}"), "butaca_store_damaged 1".into()] {
        assert!(metrics.lines().any(|found| found.trim_end_matches(".0") == line), "{line}");
    }
    stop(server);
    let server = home.start();
    assert_eq!(figures(&server), (false, restored, 0), "what was left began a store that is whole");
}

#[test]
fn in_durable_mode_nothing_is_sold_before_the_operator_has_accepted_the_loss() {
    let mut home = damaged("durable");
    for _ in 0..2 {
        let server = home.start_waiting();
        let body = crate::harness::eventually("it says why", || {
            let body = server.get("/health").json();
            body["store_error"].is_string().then_some(body)
        });
        assert!(
            body["status"] == "starting"
                && body["store_error"].as_str().is_some_and(|text| text.contains("ACCEPT_LOSS=1")),
            "{body}"
        );
        stop(server);
    }
    home.set("ACCEPT_LOSS", "1");
    let server = home.start();
    let (is_damaged, restored, missing) = figures(&server);
    assert!(is_damaged && restored > 0 && restored + missing == 10, "{restored} and {missing}");
    assert_eq!(held(&server, "show").len() as u64, restored);
    stop(server);
    home.set("ACCEPT_LOSS", "0");
    assert_eq!(figures(&home.start()), (false, restored, 0));
}
