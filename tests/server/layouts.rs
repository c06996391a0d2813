//! Layouts and rooms from files: who gets layouts by HTTP and how, rooms that are there from the start, and starts that
//! fail.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use butaca::layout::Layout;
use flate2::read::GzDecoder;
use tempfile::TempDir;

use crate::harness::http::{Http, Response};
use crate::harness::server::command;
use crate::harness::{Client, Server, VARIANTS};

const HALL: &str =
    r#"{"name":"Hall","seats":[{"id":"A1","section":"s","row":"A","number":1,"category":"c","x":0,"y":0}]}"#;

fn examples() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/layouts").display().to_string()
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("it is written");
    }
    folder
}

fn ask(server: &Server, line: &str, fields: &str) -> Response {
    let mut http = Http::new(server.dial());
    http.send(&format!("{line} HTTP/1.1\r\nHost: test\r\n{fields}\r\n"));
    http.response(line.starts_with("HEAD"))
}

fn unpacked(gzip: &[u8]) -> Vec<u8> {
    let mut json = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut json).expect("it is gzip");
    json
}

#[test]
fn a_version_is_served_for_ever_as_it_is_and_compressed() {
    for variant in VARIANTS {
        let examples = examples();
        let settings: Vec<(&str, &str)> = variant.iter().copied().chain([("LAYOUTS_DIR", &*examples)]).collect();
        let server = Server::start(&settings);
        for (id, file) in [("cinema", "cinema.json"), ("arena", "arena.json"), ("plan", "plan.pretix.json")] {
            let text = fs::read(Path::new(&examples).join(file)).expect("it is in the repository");
            let is_pretix = file.ends_with(".pretix.json");
            let layout = if is_pretix { Layout::parse_pretix(id, &text) } else { Layout::parse(id, &text) };
            let layout = layout.expect("the examples are layouts");
            let path = format!("/layouts/{id}/{}", layout.version());
            let check = |answer: &Response, encoding: Option<&str>| {
                assert_eq!((answer.status, answer.header("content-encoding")), (200, encoding), "{}", answer.head);
                let mark = format!("\"{}{}\"", layout.version(), if encoding.is_some() { "-gzip" } else { "" });
                for (name, value) in [
                    ("content-type", "application/json"),
                    ("cache-control", "public, max-age=31536000, immutable"),
                    ("vary", "Accept-Encoding"),
                    ("etag", &*mark),
                    ("access-control-allow-origin", "*"),
                ] {
                    assert_eq!(answer.header(name), Some(value), "{name}: {}", answer.head);
                }
            };
            let plain = ask(&server, &format!("GET {path}"), "");
            check(&plain, None);
            assert_eq!(plain.body, **layout.document().json());
            let packed = ask(&server, &format!("GET {path}"), "Accept-Encoding: br, gzip;q=0.9\r\n");
            check(&packed, Some("gzip"));
            assert!(unpacked(&packed.body) == plain.body && packed.body.len() * 5 < plain.body.len());
            check(&ask(&server, &format!("GET {path}?x"), "Accept-Encoding: gzip;q=0\r\n"), None);
            for (fields, encoding) in [("", None), ("Accept-Encoding: gzip\r\n", Some("gzip"))] {
                let head = ask(&server, &format!("HEAD {path}"), fields);
                check(&head, encoding);
                let whole = if encoding.is_some() { &packed } else { &plain };
                assert_eq!(head.header("content-length"), whole.header("content-length"));
            }
        }
    }
}

#[test]
fn who_has_it_is_told_so_and_a_kept_connection_goes_on() {
    let folder = folder(&[("hall.json", HALL)]);
    let server = Server::start(&[("LAYOUTS_DIR", folder.path().to_str().expect("text"))]);
    let layout = Layout::parse("hall", HALL.as_bytes()).expect("it is one");
    let (path, version) = (format!("/layouts/hall/{}", layout.version()), layout.version());
    let mut http = Http::new(server.dial());
    let mut check = |fields: &str, status: u16| {
        http.send(&format!("GET {path} HTTP/1.1\r\nHost: test\r\n{fields}\r\n"));
        // Neither has what was not modified a body.
        let answer = http.response(status == 304);
        assert_eq!(answer.status, status, "{fields}: {}", answer.head);
        assert!(answer.header("etag").is_some() && answer.header("vary").is_some(), "{}", answer.head);
    };
    check(&format!("If-None-Match: \"{version}\"\r\n"), 304);
    check(&format!("If-None-Match: \"x\", W/\"{version}\"\r\n"), 304);
    check("If-None-Match: *\r\n", 304);
    check(&format!("If-None-Match: \"{version}\"\r\nAccept-Encoding: gzip\r\n"), 200);
    check(&format!("If-None-Match: \"{version}-gzip\"\r\nAccept-Encoding: gzip\r\n"), 304);
    check("If-None-Match: \"x\"\r\n", 200);
    check("", 200);
}

#[test]
fn names_are_percent_encoded_and_what_is_not_there_is_404() {
    let folder = folder(&[("große halle 1%.json", HALL)]);
    let server = Server::start(&[("LAYOUTS_DIR", folder.path().to_str().expect("text"))]);
    let layout = Layout::parse("hall", HALL.as_bytes()).expect("it is one");
    let version = layout.version();
    let check = |path: &str, status: u16| {
        for method in ["GET", "HEAD"] {
            let answer = ask(&server, &format!("{method} {path}"), "");
            assert_eq!(answer.status, status, "{path}: {}", answer.head);
            let cache = answer.header("cache-control");
            assert!(status == 200 || cache == Some("no-store"), "{path}: {}", answer.head);
        }
    };
    check(&format!("/layouts/gro%C3%9Fe%20halle%201%25/{version}"), 200);
    check(&format!("/layouts/gro%c3%9fe%20h%61lle%201%25/{version}"), 200);
    check(&format!("/layouts/gro%C3%9Fe+halle+1%25/{version}"), 404);
    for path in ["/layouts", "/layouts/", "/layouts/hall", "/layouts//x", "/layouts/gro%C3%9Fe%20halle%201%25/"] {
        check(path, 404);
    }
    check("/layouts/gro%C3%9Fe%20halle%201%25/0123456789abcdef0123456789abcdef", 404);
    check(&format!("/layouts/gro%C3%9Fe%20halle%201%25/{version}/"), 404);
    check(&format!("/layouts/%FF/{version}"), 404);
    check(&format!("/layouts/%00/{version}"), 404);
    check(&format!("/layouts/..%2F/{version}"), 404);
    check(&format!("/layouts/{}/{version}", "x".repeat(129)), 404);
    let preflight = ask(&server, &format!("OPTIONS /layouts/hall/{version}"), "");
    assert_eq!(preflight.status, 204, "{}", preflight.head);
}

#[test]
fn a_file_that_is_no_layout_ends_the_start_with_64() {
    let check = |files: &[(&str, &str)], what: &[&str]| {
        let folder = folder(files);
        let path = folder.path().to_str().expect("text");
        let output = command(&[("LAYOUTS_DIR", path)]).output().expect("it ends");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), text.lines().count()), (Some(64), 1), "{text}");
        assert!(text.starts_with("butaca: LAYOUTS_DIR: "), "{text}");
        assert!(what.iter().all(|part| text.contains(part)), "{what:?}: {text}");
    };
    let two = HALL.replace("]}", r#",{"id":"A1","section":"s","row":"A","number":2,"category":"c","x":9,"y":0}]}"#);
    check(&[("ok.json", HALL), ("two.json", &two)], &["two.json", "A1"]);
    check(&[("not.json", "hello")], &["not.json"]);
    check(&[("x.pretix.json", HALL)], &["x.pretix.json"]);
    check(&[("x.json", HALL), ("x.pretix.json", HALL)], &["x.pretix.json"]);
    let output = command(&[("LAYOUTS_DIR", "/nowhere")]).output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{text}");
    assert!(text.starts_with("butaca: LAYOUTS_DIR: /nowhere: ") && text.lines().count() == 1, "{text}");
}

#[test]
fn the_rooms_of_the_file_are_there_from_the_start() {
    let folder = folder(&[("rooms.json", r#"{"hamlet": {"max_seats": 1}, "macbeth": {"sale": "paused"}}"#)]);
    let file = folder.path().join("rooms.json");
    for shards in ["1", "2"] {
        let file = file.to_str().expect("text");
        let server = Server::start(&[("ROOMS_FILE", file), ("ROOMS", "declared"), ("SHARDS", shards)]);
        let mut client = Client::connect(&server, "ana");
        client.enter("hamlet");
        client.select("hamlet", "A1");
        assert_eq!(client.json()["type"], "seat_selected");
        client.select("hamlet", "A2");
        assert_eq!(client.json()["code"], "limit_exceeded");
        client.enter("macbeth");
        client.select("macbeth", "A1");
        assert_eq!(client.json()["code"], "sale_paused");
        client.send(&crate::harness::client::join("othello"));
        assert_eq!(client.json()["code"], "unknown_room");
        for (room, status) in [("hamlet", 200), ("macbeth", 200), ("othello", 404)] {
            assert_eq!(crate::api::ask(&server, &format!("GET /v1/rooms/{room}"), "", "").status, status, "{room}");
        }
    }
}

/// What was decided about a room since its file was written stays, and the log says so.
#[test]
fn a_room_that_the_store_gives_back_keeps_its_settings() {
    let folder = folder(&[("rooms.json", r#"{"hamlet": {"max_seats": 1}, "macbeth": {}}"#)]);
    let (file, data) = (folder.path().join("rooms.json"), folder.path().join("data"));
    let text = |path: &Path| path.to_str().expect("text").to_owned();
    let (file, data) = (text(&file), text(&data));
    let settings = [("ROOMS_FILE", &*file), ("STORE", "embedded"), ("DATA_DIR", &*data), ("SHARDS", "2")];
    let max_seats =
        |server: &Server| crate::api::ask(server, "GET /v1/rooms/hamlet", "", "").json()["max_seats"].clone();
    let server = Server::start(&settings);
    assert_eq!(max_seats(&server), 1);
    let json = "Content-Type: application/json\r\n";
    let patched = crate::api::ask(&server, "PATCH /v1/rooms/hamlet", json, r#"{"max_seats":3}"#);
    assert_eq!(patched.status, 200, "{}", patched.head);
    server.signal(rustix::process::Signal::TERM);
    assert!(server.ended().0.success());
    let server = Server::start(&settings);
    assert_eq!(max_seats(&server), 3);
    crate::harness::eventually("it is said", || {
        server.log().lines().any(|line| line.contains("ROOMS_FILE") && line.contains("hamlet")).then_some(())
    });
    assert!(!server.log().contains("macbeth"), "{}", server.log());
}

#[test]
fn a_file_that_says_no_rooms_ends_the_start_with_64() {
    let check = |text: &str, what: &[&str]| {
        let folder = folder(&[("rooms.json", text)]);
        let file = folder.path().join("rooms.json");
        let output = command(&[("ROOMS_FILE", file.to_str().expect("text"))]).output().expect("it ends");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), text.lines().count()), (Some(64), 1), "{text}");
        assert!(text.starts_with("butaca: ROOMS_FILE: ") && text.contains("rooms.json: "), "{text}");
        assert!(what.iter().all(|part| text.contains(part)), "{what:?}: {text}");
    };
    check("", &[]);
    check("[]", &["an object of rooms"]);
    check(r#"{"hamlet": {"max_seat": 1}}"#, &["hamlet", "max_seat"]);
    check(r#"{"hamlet": {}, "hamlet": {}}"#, &["hamlet", "twice"]);
    let output = command(&[("ROOMS_FILE", "/nowhere.json")]).output().expect("it ends");
    assert_eq!(output.status.code(), Some(64), "{output:?}");
}

#[test]
fn a_room_of_the_file_has_the_seats_of_its_layout() {
    let folder = folder(&[("hall.json", HALL), ("rooms.file", r#"{"r": {"layout": "hall"}}"#)]);
    let (layouts, file) = (folder.path(), folder.path().join("rooms.file"));
    let (layouts, file) = (layouts.to_str().expect("text"), file.to_str().expect("text"));
    let layout = Layout::parse("hall", HALL.as_bytes()).expect("it is one");
    for shards in ["1", "2"] {
        let server = Server::start(&[("LAYOUTS_DIR", layouts), ("ROOMS_FILE", file), ("SHARDS", shards)]);
        let told = crate::api::ask(&server, "GET /v1/rooms/r", "", "").json();
        assert_eq!(told["layout"], serde_json::json!({"id": "hall", "version": &**layout.version()}), "{told}");
        let mut client = Client::connect(&server, "ana");
        client.enter("r");
        client.select("r", "A2");
        assert_eq!(client.json()["code"], "unknown_seat");
        client.select("r", "A1");
        assert_eq!(client.json()["type"], "seat_selected");
    }
}
