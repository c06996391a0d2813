//! A short run of every scenario against the real server, with one shard and with two.
//!
//! Only promises are asserted, never speed: a run on a busy machine may be void, but not violated.

mod support;

use kit::Server;
use support::{loadgen, printed};

/// A server for all people, whom one machine plays here. It ends with the value.
fn start(shards: &str) -> Server {
    let settings = [
        ("SHARDS", shards),
        ("HOLD_TTL_MS", "2000"),
        ("SESSION_GRACE_MS", "1200"),
        ("MAX_CONNECTIONS_PER_IP", "0"),
        ("LOG_LEVEL", "warn"),
    ];
    Server::start(&settings)
}

fn url(server: &Server) -> String {
    format!("ws://{}", server.address)
}

/// Every scenario, small.
const SCENARIOS: &[&[&str]] = &[
    &["multi", "--clients", "8"],
    &["onsale", "--clients", "60", "--rooms", "3", "--seats", "40", "--rate", "400", "--secs", "1"],
    &["onsale", "--clients", "80", "--rooms", "1", "--seats", "60", "--rate", "300", "--secs", "1", "--threads", "2"],
    &["connect", "--conns", "200"],
    &["idle", "--conns", "100", "--secs", "0.3"],
    &["fanout", "--members", "60", "--selectors", "5", "--rate", "100", "--warmup", "0.2", "--secs", "1"],
    &["rooms", "--rooms", "20", "--members", "5", "--rate", "300", "--warmup", "0.2", "--secs", "1"],
    &["closed", "--rooms", "20", "--members", "5", "--window", "2", "--warmup", "0.2", "--secs", "0.5"],
    &["contend", "--conns", "40", "--seats", "20"],
    &["multiplex", "--rooms", "20", "--time-scale", "0.03"],
    &["arena", "--viewers", "120", "--time-scale", "0.02"],
    &["stadium", "--viewers", "120", "--rooms", "1", "--time-scale", "0.02"],
    &["stadium", "--viewers", "120", "--rooms", "10", "--time-scale", "0.02"],
    &["flash", "--viewers", "150", "--time-scale", "0.03"],
    &["storm", "--viewers", "150", "--rooms", "5", "--time-scale", "0.05"],
    &["soak", "--rooms", "20", "--secs", "3", "--time-scale", "0.05"],
];

/// Some of them by the second protocol; the last two in rooms with a layout.
const CARTS: &[&[&str]] = &[
    &["onsale", "--clients", "80", "--rooms", "1", "--seats", "60", "--rate", "300", "--secs", "1", "--threads", "2"],
    &["contend", "--conns", "40", "--seats", "20"],
    &["soak", "--rooms", "20", "--secs", "2", "--time-scale", "0.05"],
    &["flash", "--viewers", "150", "--time-scale", "0.03"],
    &["arena", "--viewers", "120", "--time-scale", "0.02"],
    &["storm", "--viewers", "150", "--rooms", "5", "--time-scale", "0.05"],
];

/// One half of the scenarios: the even ones, or the odd ones.
fn run_half(shards: &str, half: usize) {
    let server = start(shards);
    run(&server, SCENARIOS.iter().enumerate().filter(|(index, _)| index % 2 == half), |_| Vec::new());
}

/// Those of the second protocol.
fn run_carts(shards: &str) {
    let server = start(shards);
    let api = format!("http://{}", server.api.expect("it is on"));
    run(&server, CARTS.iter().enumerate(), |index| {
        let laid_out: &[&str] = if index + 2 >= CARTS.len() { &["--api", &api] } else { &[] };
        [&["--protocol", "v2"], laid_out].concat().into_iter().map(str::to_owned).collect()
    });
}

fn run<'a>(
    server: &Server,
    scenarios: impl Iterator<Item = (usize, &'a &'static [&'static str])>,
    more: impl Fn(usize) -> Vec<String>,
) {
    let url = url(server);
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (index, scenario) in scenarios {
        let (json, page) = (folder.path().join(format!("{index}.json")), folder.path().join(format!("{index}.html")));
        let (json, page) = (json.to_str().expect("a plain path"), page.to_str().expect("a plain path"));
        let pid = server.pid().to_string();
        let mut args = scenario.to_vec();
        let more = more(index);
        args.extend(more.iter().map(String::as_str));
        args.extend_from_slice(&["--url", &url, "--server-pid", &pid, "--quiet", "--json", json, "--report", page]);
        let output = loadgen(&args);
        let code = output.status.code();
        assert!(code == Some(0) || code == Some(3), "{scenario:?} {more:?} ended with {code:?}: {}", printed(&output));
        let result: serde_json::Value =
            serde_json::from_slice(&std::fs::read(json).expect("--json was written")).expect("it is JSON");
        assert!(result["totals"]["joins"].as_u64() > Some(0) && result["scenario"] == scenario[0], "{result}");
        assert!(std::fs::read_to_string(page).expect("--report was written").contains("</html>"));
    }
}

#[test]
fn the_even_scenarios_are_clean_on_one_shard() {
    run_half("1", 0);
}

#[test]
fn the_odd_scenarios_are_clean_on_one_shard() {
    run_half("1", 1);
}

#[test]
fn the_even_scenarios_are_clean_on_two_shards() {
    run_half("2", 0);
}

#[test]
fn the_odd_scenarios_are_clean_on_two_shards() {
    run_half("2", 1);
}

#[test]
fn the_second_protocol_is_clean_on_one_shard() {
    run_carts("1");
}

#[test]
fn the_second_protocol_is_clean_on_two_shards() {
    run_carts("2");
}

#[test]
fn the_walk_through_the_protocol_passes() {
    for shards in ["1", "2"] {
        let server = start(shards);
        let api = format!("http://{}", server.api.expect("it is on"));
        for more in [&[][..], &["--protocol", "v2", "--api", &api]] {
            let output = loadgen(&[&["check", "--url", &url(&server)], more].concat());
            assert_eq!(output.status.code(), Some(0), "{shards} shards {more:?}: {}", printed(&output));
        }
    }
}

#[test]
fn wrong_usage_is_said_in_one_line() {
    let cases: &[(&[&str], &str)] = &[
        (&["flash", "--url", "ws://192.0.2.1:80"], "loopback"),
        (&["flash", "--url", "http://127.0.0.1"], "ws://"),
        (&["flash", "--time-scale", "0"], "--time-scale"),
        (&["flash", "--early-share", "2"], "--early-share"),
        (&["onsale", "--clients", "0"], "--clients"),
        (&["fanout", "--threads", "0"], "--threads"),
        (&["check", "--url", "127.0.0.1:80"], "ws://"),
    ];
    for (args, part) in cases {
        let output = loadgen(args);
        let text = printed(&output);
        assert!(
            output.status.code() == Some(2) && text.contains(part) && text.trim().lines().count() == 1,
            "{args:?}: {text}"
        );
    }
}
