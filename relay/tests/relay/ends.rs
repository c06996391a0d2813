//! How it ends: one line, one code.

use std::io::{Read, Write};
use std::net::TcpStream;

use kit::wait::eventually;

use super::log::Log;
use super::process::Relay;
use super::receiver::{Receiver, SECRET};

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().expect("a folder"));
        for (name, text) in [("secret", SECRET), ("short", "whsec_AAAA"), ("key", "k-1\n"), ("half", "no end")] {
            std::fs::write(files.0.path().join(name), text).expect("a file");
        }
        files
    }

    /// These words, with `@name` for a file.
    fn words(&self, words: &str) -> Vec<String> {
        let path = |name: &str| self.0.path().join(name).display().to_string();
        words.split(' ').map(|word| word.strip_prefix('@').map_or(word.to_owned(), path)).collect()
    }

    fn start(&self, words: &str) -> Relay {
        Relay::start(&self.words(words).iter().map(String::as_str).collect::<Vec<_>>())
    }
}

#[test]
fn what_cannot_go_on_ends_with_a_line_and_a_code() {
    let (files, log, receiver) = (Files::new(), Log::new(), Receiver::new());
    log.write_orders(0, 2);
    let hook = format!("--server {} --webhook {} --secret-file @secret --cursor-file @cursor", log.url, receiver.url);
    for (words, code, line) in [
        ("--nonsense", 64, "unexpected argument"),
        ("--server http://127.0.0.1:1", 64, "there is nowhere to deliver to"),
        (&hook.replace("@secret", "@short"), 64, "allowed are 24 to 64"),
        (&hook.replace("@secret", "@none"), 64, "No such file"),
        (&hook.replace("@cursor", "@half"), 69, "this is no cursor"),
        (&hook.replace("@cursor", "@none/cursor"), 69, "No such file"),
        ("--mongo http://x", 64, "--mongo: "),
        ("--mongo mongodb+srv://x/y", 64, "name the hosts"),
    ] {
        let (found, said) = files.start(words).ended();
        assert_eq!(found, Some(code), "{words}: {said}");
        assert!(said.contains(line), "{words}: {said}");
    }
}

#[test]
fn a_log_that_refuses_ends_it() {
    let (files, log, receiver) = (Files::new(), Log::new(), Receiver::new());
    log.write_orders(0, 2);
    log.want_key("k-1");
    let hook = format!("--server {} --webhook {} --secret-file @secret --cursor-file @cursor", log.url, receiver.url);
    let (code, said) = files.start(&hook).ended();
    assert!(code == Some(77) && said.contains("no such key"), "{said}");
    let all = format!("{hook} --key-file @key");
    let relay = files.start(&all);
    eventually("all is there", || (receiver.taken().len() == log.events().len()).then_some(()));
    relay.term();
    assert_eq!(relay.ended().0, Some(0));

    log.answer_instead(Some(410));
    let (code, said) = files.start(&all).ended();
    assert!(code == Some(66) && said.contains("--from oldest"), "{said}");
    let relay = files.start(&format!("{all} --from oldest"));
    eventually("it came again", || (receiver.repeats() == log.events().len()).then_some(()));
    let (code, said) = relay.ended();
    assert_eq!(code, Some(66), "the cursor is too old again: {said}");
    log.answer_instead(Some(404));
    assert_eq!(files.start(&all).ended().0, Some(66));
}

#[test]
fn its_figures_are_on_loopback() {
    let (files, log, receiver) = (Files::new(), Log::new(), Receiver::new());
    log.write_orders(0, 2);
    let hook = format!("--server {} --webhook {} --secret-file @secret --cursor-file @cursor", log.url, receiver.url);
    let relay = files.start(&format!("{hook} --metrics-port 0"));
    let address = eventually("it says where", || {
        let said = relay.said();
        said.split_once("metrics http://").and_then(|(_, rest)| Some(rest.split_once('/')?.0.to_owned()))
    });
    let count = log.events().len();
    eventually("they count", || {
        let mut stream = TcpStream::connect(&address).expect("it listens");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        let all = [
            format!("butaca_relay_events_total{{sink=\"webhook\"}} {count}\n"),
            "lag_seconds{sink=\"webhook\"} 0\n".into(),
        ];
        all.iter().all(|line| text.contains(line)).then_some(())
    });
}
