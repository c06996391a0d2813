//! The oracle's own test: a correct stub passes, and each planted defect is found and named.

mod support;

use support::stub::Stub;
use support::world::Bug;
use support::{loadgen, printed};

/// A short run in which everything happens: selects, refusals, releases.
fn onsale(stub: &Stub, more: &[&str]) -> std::process::Output {
    onsale_of(stub, "1", "12", more)
}

fn onsale_of(stub: &Stub, secs: &str, seats: &str, more: &[&str]) -> std::process::Output {
    let url = stub.url();
    let mut args = vec![
        "onsale",
        "--url",
        &url,
        "--secs",
        secs,
        "--seats",
        seats,
        "--clients",
        "12",
        "--rooms",
        "1",
        "--rate",
        "300",
    ];
    args.extend_from_slice(&["--drain", "2", "--late-ms", "100000", "--quiet"]);
    args.extend_from_slice(more);
    loadgen(&args)
}

/// A run with bots, who also try what they must not.
fn flash(stub: &Stub) -> std::process::Output {
    let url = stub.url();
    loadgen(&[
        "flash",
        "--url",
        &url,
        "--viewers",
        "20",
        "--time-scale",
        "0.02",
        "--secs",
        "1.5",
        "--bot-share",
        "0.5",
        "--deaf-share",
        "0",
        "--slow-share",
        "0",
        "--drain",
        "2",
        "--late-ms",
        "100000",
        "--quiet",
    ])
}

#[track_caller]
fn found(bug: Bug, kind: &str) {
    let stub = Stub::start(bug);
    let output = onsale(&stub, &[]);
    check(&output, bug, kind);
}

#[track_caller]
fn check(output: &std::process::Output, bug: Bug, kind: &str) {
    let text = printed(output);
    assert_eq!(output.status.code(), Some(1), "{bug:?}: {text}");
    assert!(text.contains(kind), "{bug:?} must be called {kind}: {text}");
    assert!(text.contains("seed 1"), "the seed is told: {text}");
}

#[test]
fn a_correct_server_is_clean() {
    let stub = Stub::start(Bug::None);
    let output = onsale(&stub, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    assert!(printed(&output).contains("RESULT: clean"), "{}", printed(&output));
}

#[test]
fn a_told_resynchronisation_is_clean() {
    let output = onsale(&Stub::start(Bug::Resyncs), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
}

#[test]
fn expiry_in_time_is_clean() {
    let output = onsale(&Stub::with_ttl(Bug::None, 200), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    assert!(printed(&output).contains("expiries"), "{}", printed(&output));
}

#[test]
fn several_threads_agree() {
    let stub = Stub::start(Bug::None);
    let output = onsale(&stub, &["--threads", "3"]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
}

#[test]
fn a_double_grant_is_found() {
    found(Bug::DoubleGrant, "DoubleGrant");
}

#[test]
fn a_lost_event_is_found() {
    // The victim must be silent: who acts itself notices a gap.
    let stub = Stub::start(Bug::LostEvent);
    let url = stub.url();
    let output = loadgen(&[
        "fanout",
        "--url",
        &url,
        "--members",
        "6",
        "--selectors",
        "2",
        "--rate",
        "200",
        "--secs",
        "1",
        "--drain",
        "1",
        "--late-ms",
        "100000",
        "--quiet",
    ]);
    check(&output, Bug::LostEvent, "LostEvent");
}

#[test]
fn reordered_events_are_found() {
    found(Bug::Reordered, "OutOfOrder");
}

#[test]
fn a_silent_gap_is_found() {
    found(Bug::SilentGap, "SilentGap");
}

#[test]
fn a_missing_resynchronisation_is_found() {
    found(Bug::ResyncMissing, "SilentGap");
}

#[test]
fn a_hold_beyond_its_deadline_is_found() {
    let output = onsale_of(&Stub::with_ttl(Bug::LateExpiry, 200), "3", "200", &["--expiry-grace-ms", "300"]);
    check(&output, Bug::LateExpiry, "LateExpiry");
}

#[test]
fn an_early_expiry_is_found() {
    found(Bug::EarlyExpiry, "EarlyExpiry");
}

#[test]
fn an_unknown_frame_is_found() {
    found(Bug::UnknownFrame, "UnknownFrame");
}

#[test]
fn a_false_refusal_is_found() {
    check(&onsale_of(&Stub::start(Bug::FalseRefusal), "1", "100000", &[]), Bug::FalseRefusal, "FalseRefusal");
}

#[test]
fn a_missing_reply_is_found() {
    let output = onsale(&Stub::start(Bug::Unanswered), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
    let text = printed(&output);
    assert!(text.contains("Unanswered") || text.contains("WrongReply"), "{text}");
}

#[test]
fn a_different_map_over_http_is_found() {
    found(Bug::MapDiffers, "MapDiffers");
}

#[test]
fn holds_left_behind_are_found() {
    found(Bug::LeftBehind, "LeftBehind");
}

#[test]
fn rooms_that_cannot_be_asked_void_the_run() {
    voids(Bug::Unasked, "times a room could not be asked what is held in it: /room/");
}

#[test]
fn a_rate_limit_voids_the_run() {
    voids(Bug::RateLimited, "RATE_MESSAGES_PER_S=0");
}

#[track_caller]
fn voids(bug: Bug, why: &str) {
    let output = onsale(&Stub::start(bug), &[]);
    let text = printed(&output);
    assert_eq!(output.status.code(), Some(3), "{bug:?}: {text}");
    assert!(text.contains(why), "{bug:?} must say {why}: {text}");
}

#[test]
fn a_release_of_a_connected_client_is_found() {
    found(Bug::ReleasedWhileConnected, "ReleasedWhileConnected");
}

#[test]
fn different_stories_are_found() {
    found(Bug::Diverged, "Diverged");
}

#[test]
fn a_lost_connection_is_found() {
    found(Bug::ConnectionLost, "ConnectionLost");
}

#[test]
fn a_wrong_full_state_is_found() {
    check(&flash(&Stub::start(Bug::WrongFullState)), Bug::WrongFullState, "WrongFullState");
}

#[test]
fn a_release_by_a_stranger_is_found() {
    check(&flash(&Stub::start(Bug::StrangerRelease)), Bug::StrangerRelease, "StrangerRelease");
}

#[test]
fn a_server_without_numbers_needs_a_flag() {
    found(Bug::Plain, "NoSequence");
    let output = onsale(&Stub::start(Bug::Plain), &["--plain-v1"]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
}
