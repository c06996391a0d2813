//! The oracle's own test: a correct stub passes, and each planted defect is found and named.

mod support;

use support::stub::Stub;
use support::world::Bug;
use support::{loadgen, printed};

/// A short run in which everything happens: selects, refusals, releases.
fn onsale(stub: &Stub, more: &[&str]) -> std::process::Output {
    let url = stub.url();
    let mut args = vec![
        "onsale",
        "--url",
        &url,
        "--clients",
        "12",
        "--rooms",
        "1",
        "--seats",
        "12",
        "--rate",
        "300",
        "--secs",
        "1",
        "--drain",
        "2",
        "--late-ms",
        "100000",
        "--quiet",
    ];
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
    found(Bug::LostEvent, "LostEvent");
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
    let output = onsale(&Stub::with_ttl(Bug::LateExpiry, 200), &["--expiry-grace-ms", "300", "--secs", "3"]);
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
    found(Bug::FalseRefusal, "FalseRefusal");
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
