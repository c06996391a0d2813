//! The log in MongoDB, whatever is killed meanwhile.

use kit::wait::eventually;
use serde_json::Value;

use super::database::Database;
use super::log::Log;
use super::process::Relay;

/// What is there is what the log has, each event once, and each order in its last state.
fn check(database: &Database, log: &Log, orders: usize) {
    let mut expected = log.events();
    expected.iter_mut().for_each(|event| event["_id"] = event["id"].clone());
    expected.sort_by_key(|event| event["_id"].to_string());
    assert_eq!(database.all("seat_events"), expected);
    let kept = database.all("orders");
    assert_eq!(kept.len(), orders);
    for order in kept {
        let name = order["order"].as_str().expect("a name");
        let number: usize = name.strip_prefix("order/").expect("one of ours").parse().expect("a number");
        let (state, refunded) = Log::end_of(number);
        assert_eq!(
            (order["state"].as_str(), order["refunded"].as_array().map(Vec::len)),
            (Some(state), Some(refunded))
        );
        assert_eq!(order["_id"], format!("room%20{}/order%2F{number}", number % 3));
        assert_eq!(
            (order["owner"]["holder"].as_str(), order["seats"].as_array().map(Vec::len)),
            (Some("till"), Some(2))
        );
    }
}

fn cursor(database: &Database) -> Option<Value> {
    database.all("relay_cursors").into_iter().find(|kept| kept["_id"] == "mongo").map(|kept| kept["cursor"].clone())
}

fn is_level(database: &Database, log: &Log) -> bool {
    cursor(database) == log.events().last().map(|event| event["cursor"].clone())
}

#[test]
fn the_log_is_in_mongodb_whatever_is_killed() {
    let (log, mut database) = (Log::new(), Database::start());
    log.fail_every(4);
    let words = ["--server", &log.url, "--mongo", &database.url()].map(str::to_owned);
    let start = || Relay::start(&words.each_ref().map(String::as_str));
    for round in 0..6 {
        log.write_orders(round * 100, 100);
        let relay = start();
        match round {
            // In the middle of whatever it does.
            0..3 => {
                let asked = log.asked();
                eventually("it reads", || (log.asked() > asked + round).then_some(()));
                relay.kill();
            }
            3 => {
                database.restart();
                eventually("all is there", || is_level(&database, &log).then_some(()));
                relay.kill();
            }
            _ => {
                eventually("all is there", || is_level(&database, &log).then_some(()));
                relay.term();
                let (code, said) = relay.ended();
                assert_eq!(code, Some(0), "{said}");
                assert!(said.contains("events delivered") && said.ends_with("stopped\n"), "{said}");
            }
        }
    }
    check(&database, &log, 600);
}

#[test]
fn a_database_that_is_away_is_waited_for_and_repeats_are_harmless() {
    let (log, mut database) = (Log::new(), Database::start());
    log.write_orders(0, 12);
    database.kill();
    let url = database.url() + "?serverSelectionTimeoutMS=200";
    let relay = Relay::start(&["--server", &log.url, "--mongo", &url]);
    eventually("it says so", || relay.said().contains("mongo: ").then_some(()));
    database.restart();
    eventually("all is there", || is_level(&database, &log).then_some(()));
    relay.kill();
    // From the beginning, over what is there.
    let relay = Relay::start(&["--server", &log.url, "--mongo", &url, "--from", "oldest"]);
    log.write_orders(12, 12);
    eventually("all is there", || is_level(&database, &log).then_some(()));
    drop(relay);
    check(&database, &log, 24);
}
