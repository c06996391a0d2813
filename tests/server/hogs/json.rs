//! What a message costs follows from its length and from what it is counted as: a dear one is counted as several
//! where messages are counted. No text costs more than so much a byte; and what the dearest of a length costs for each
//! message that it is counted as, against the cheapest, which need not be taken apart, is at most three to one.
//!
//! Counted in processor time of the server, from `recv` to the answer. Asserted at the full size only
//! (`scripts/long.sh hogs`): it is a release build's.

use std::fmt::Write as _;

use crate::harness::client::text_frame;
use crate::harness::wait::size;
use crate::harness::{Client, Server};

/// The most that a text may cost: a message, and a byte of it, in microseconds.
const MOST_US: (f64, f64) = (5.0, 0.012);
/// The dearest against the cheapest of a length, for each message that it is counted as.
const MOST_TIMES: f64 = 3.0;
/// Of these a message is counted as one more for so many: as `JSON_SIGNS_PER_TOKEN` of the server says.
const SIGNS: (&str, usize) = (",:\"{[\\", 96);
const LENGTHS: [usize; 4] = [200, 1_000, 4_000, 60_000];

/// As many small things as a message may have that is counted as one, and then a text.
const JUST_ONE: &str = concat!(
    r#"{"type":"x","b":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"#,
    r#"1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"a":""#,
);

/// Texts of a kind: how they begin, what is repeated until they are long enough, and how they end.
const KINDS: &[(&str, &str, &str, &str)] = &[
    ("one long string", r#"{"type":"x","a":""#, "y", r#""}"#),
    ("spaces", r#"{"type":"x","a":"#, " ", "0}"),
    ("small numbers", r#"{"type":"x","a":["#, "1,", "0]}"),
    ("small numbers, just not counted", JUST_ONE, "y", r#""}"#),
    ("numbers beyond any word", r#"{"type":"x","a":["#, "1e400,", "0]}"),
    ("long numbers", r#"{"type":"x","a":["#, "12345678901234567890123.5e-7,", "0]}"),
    ("numbers that are none", r#"{"type":"x","a":["#, "01,", "0]}"),
    ("minus signs", r#"{"type":"x","a":["#, "-", "]}"),
    ("open brackets", r#"{"type":"x","a":"#, "[", ""),
    ("nested objects", r#"{"type":"x","a":"#, r#"{"a":"#, ""),
    ("empty lists", r#"{"type":"x","a":["#, "[],", "0]}"),
    ("empty strings", r#"{"type":"x","a":["#, r#""","#, "0]}"),
    ("short strings", r#"{"type":"x","a":["#, r#""ab","#, "0]}"),
    ("escapes", r#"{"type":"x","a":""#, r"\n", r#""}"#),
    ("hexadecimal escapes", r#"{"type":"x","a":""#, r"\u00e9", r#""}"#),
    ("pairs of surrogates", r#"{"type":"x","a":""#, r"\ud83c\udfad", r#""}"#),
    ("a lone surrogate at the end", r#"{"type":"x","a":""#, r"\ud83c\udfad", r#"\ud83c"}"#),
    ("letters of two bytes", r#"{"type":"x","a":""#, "é", r#""}"#),
    ("letters of four bytes", r#"{"type":"x","a":""#, "🎭", r#""}"#),
    ("members", r#"{"type":"x","#, r#""a":1,"#, r#""b":0}"#),
    ("the type again and again", r#"{"type":"x","#, r#""type":"x","#, r#""b":0}"#),
    ("true", r#"{"type":"x","a":["#, "true,", "0]}"),
    ("commas", r#"{"type":"x","a":["#, ",", "0]}"),
    ("quotation marks", r#"{"type":"x","a":["#, "\"", "0]}"),
    ("no JSON at all", "", "y", ""),
];

fn text((_, begin, again, end): (&str, &str, &str, &str), len: usize) -> String {
    let mut text = begin.to_owned();
    while text.len() + again.len() + end.len() <= len {
        text.push_str(again);
    }
    text + end
}

/// How many messages a text is counted as.
fn counted_as(text: &str) -> f64 {
    let signs = text.chars().filter(|&sign| SIGNS.0.contains(sign)).count();
    f64::from(u32::try_from(1 + signs / SIGNS.1).expect("few"))
}

/// Nanoseconds of processor time that the threads of the server have had.
fn spent(server: &Server) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", server.pid())).expect("it runs");
    let of = |task: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    tasks.filter_map(of).sum()
}

/// What one of these costs, in microseconds: the least of a few looks.
fn cost(server: &Server, client: &mut Client, text: &str, looks: usize, bytes: usize) -> f64 {
    let frame = text_frame(text);
    let count = (bytes / frame.len()).max(4);
    let look = |client: &mut Client| {
        let before = spent(server);
        for _ in 0..count.div_ceil(16) {
            client.write(&frame.repeat(16));
            (0..16).for_each(|_| drop(client.text()));
        }
        let ns = u32::try_from(spent(server) - before).expect("short");
        f64::from(ns) / 1_000.0 / f64::from(u32::try_from(count.div_ceil(16) * 16).expect("few"))
    };
    (0..looks).map(|_| look(client)).fold(f64::INFINITY, f64::min)
}

#[test]
fn json_of_a_length_costs_alike_alone() {
    let full = size("HOGS_FULL", 0) > 0;
    let server = Server::start(&[("SHARDS", "1"), ("RUNTIME", "threads")]);
    let mut faults = Vec::new();
    for second in [false, true] {
        let mut client = Client::connect_on(server.dial(), "a", if second { "?v=2" } else { "" });
        if second {
            assert_eq!(client.json()["type"], "hello");
        }
        for len in LENGTHS {
            let (looks, bytes) = if full { (5, 2_000_000) } else { (1, 4 * len) };
            let of_kind = |&kind: &(&'static str, &str, &str, &str)| {
                let text = text(kind, len);
                let us = cost(&server, &mut client, &text, looks, bytes);
                (us, us / counted_as(&text), kind.0)
            };
            let costs: Vec<(f64, f64, &str)> = KINDS.iter().map(of_kind).collect();
            let best = costs.iter().map(|cost| cost.0).fold(f64::INFINITY, f64::min);
            let mut sorted = costs;
            sorted.sort_by(|a, b| b.1.total_cmp(&a.1));
            let mut line = format!("| v{} | {len} | {best:.2}", if second { 2 } else { 1 });
            for (us, each, name) in &sorted[..3] {
                write!(line, " | {name}: {us:.2}, {:.1} x", each / best).expect("a String takes everything");
            }
            println!("{line} |");
            let most = MOST_US.0 + MOST_US.1 * f64::from(u32::try_from(len).expect("small"));
            let over = sorted.iter().filter(|&&(us, each, _)| us > most || each > MOST_TIMES * best);
            faults.extend(over.map(|(us, each, name)| format!("{len} bytes, {name}: {us:.1} us, {each:.1} each")));
        }
    }
    assert!(!full || faults.is_empty(), "{faults:#?}");
}
