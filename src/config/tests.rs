//! Which values are accepted, which are refused and with what words, and that flags win.

use std::ffi::OsStr;

use super::settings::{Kind, SETTINGS};
use super::values::{Source, Values, command};
use super::{Config, Durability, Promise, Store};
use crate::cluster::names::NodeName;

fn config(given: &[(&'static str, &str)]) -> Result<Config, String> {
    let mut values = Values::default();
    for (name, text) in given {
        values.write(name, OsStr::new(text), Source::Environment);
    }
    Config::from_values(&values)
}

#[test]
fn nothing_given_is_a_valid_configuration() {
    let config = config(&[]).unwrap();
    assert_eq!((config.listen.port, config.rooms.hold_ttl_ms, config.rooms.seats_per_client_max), (8001, 300_000, 10));
    assert_eq!(config.store.promise, Promise { store: Store::Embedded, durability: Durability::Window });
    assert!(config.site.public_stats && !config.site.stats_list_ids && !config.listen.proxy_protocol);
    assert!(config.cores.shards.is_none() && config.connections.max.is_none());
}

#[test]
fn the_store_follows_from_what_is_set() {
    let check = |given: &[(&'static str, &str)], store, durability| {
        let config = config(given).unwrap();
        assert_eq!(config.store.promise, Promise { store, durability }, "{given:?}");
    };
    check(&[("REDIS_HOST", "redis")], Store::Redis, Durability::Window);
    check(&[("REDIS_URL", "rediss://u:p@h:1/2")], Store::Redis, Durability::Window);
    check(&[("REDIS_HOST", "")], Store::Embedded, Durability::Window);
    check(&[("REDIS_HOST", "redis"), ("STORE", "memory")], Store::Memory, Durability::Memory);
    check(&[("STORE", "Embedded"), ("DURABILITY", "DURABLE")], Store::Embedded, Durability::Durable);
}

#[test]
fn several_servers_share_redis_and_nothing_else() {
    let of = |given: &[(&'static str, &str)]| config(given).map(|config| config.nodes);
    assert!(of(&[("PARTS", "7")]).unwrap().is_none());
    let nodes = of(&[("CLUSTER", "1"), ("REDIS_HOST", "redis"), ("NODE_ID", "a-0")]).unwrap().expect("it is one");
    assert_eq!((nodes.name.as_ref().map(NodeName::as_str), nodes.parts, nodes.lease_ms), (Some("a-0"), 256, 5_000));
    let refused = |given: &[(&'static str, &str)], line: &str| assert_eq!(of(given).unwrap_err(), line, "{given:?}");
    refused(&[("CLUSTER", "1")], "CLUSTER=1: needs STORE=redis, and it is embedded");
    let redis = [("CLUSTER", "1"), ("STORE", "redis")];
    let with = |more| [&redis[..], &[more]].concat();
    refused(&with(("REDIS_COMPAT_KEYS", "1")), "REDIS_COMPAT_KEYS=1: not with CLUSTER=1");
    refused(&with(("PARTS", "4097")), "PARTS=4097: allowed is a whole number from 1 to 4096");
    refused(&with(("NODE_ID", "a b")), "NODE_ID=a b: allowed is 1 to 128 visible ASCII characters");
    let why = "START_WITHOUT_STORE=1: not with CLUSTER=1, others may have what this one would overwrite";
    refused(&with(("START_WITHOUT_STORE", "1")), why);
}

#[test]
fn a_refusal_is_one_line_with_name_value_and_what_is_allowed() {
    let check = |given: &[(&'static str, &str)], line: &str| {
        assert_eq!(config(given).err().as_deref(), Some(line), "{given:?}");
    };
    check(&[("HOLD_TTL_MS", "soon")], "HOLD_TTL_MS=soon: allowed is a whole number from 1 to 86400000");
    check(&[("HOLD_TTL_MS", "0")], "HOLD_TTL_MS=0: allowed is a whole number from 1 to 86400000");
    check(&[("SHARDS", "65")], "SHARDS=65: allowed is a whole number from 1 to 64");
    check(&[("WEBSOCKET_PORT", "-1")], "WEBSOCKET_PORT=-1: allowed is a whole number from 0 to 65535");
    check(&[("STATS_LIST_IDS", "yes")], "STATS_LIST_IDS=yes: allowed is 0 or 1");
    check(&[("STORE", "mysql")], "STORE=mysql: allowed is one of memory, embedded, redis");
    check(&[("WEBSOCKET_HOST", "a\nb")], "WEBSOCKET_HOST=a\\nb: allowed is an IPv4 or IPv6 address, or localhost");
    check(
        &[("REDIS_URL", "http://user:secret@host")],
        "REDIS_URL=***: allowed is a URL that begins with redis://, rediss:// or unix://",
    );
    check(&[("STORE", "memory"), ("DURABILITY", "durable")], "DURABILITY=durable: with STORE=memory allowed is memory");
    check(&[("DURABILITY", "memory")], "DURABILITY=memory: with STORE=embedded allowed is window or durable");
    check(
        &[("DURABILITY", "durable"), ("START_WITHOUT_STORE", "1")],
        "START_WITHOUT_STORE=1: not with DURABILITY=durable, what was confirmed would be lost",
    );
    check(&[("MAX_MESSAGE_BYTES", "2048")], "MAX_USER_INFO_BYTES=4096: must be below MAX_MESSAGE_BYTES, which is 2048");
    check(&[("API_PORT", "65536")], "API_PORT=65536: allowed is off, or a whole number from 0 to 65535");
    let open_to_all = "API_HOST=0.0.0.0: needs API_KEYS_FILE, or anybody could sell; without keys allowed is loopback";
    check(&[("API_HOST", "0.0.0.0")], open_to_all);
    check(&[("PROXY_PROTOCOL", "1")], "PROXY_PROTOCOL=1: needs TRUSTED_PROXIES, or anybody could forge an address");
}

#[test]
fn other_wrong_values_are_refused() {
    for given in [
        ("TRUSTED_PROXIES", "10.0.0.0/8,"),
        ("CORS_ALLOW_ORIGIN", "https://a b"),
        ("CORS_ALLOW_ORIGIN", "https://tickets.example/"),
        ("ALLOWED_ORIGINS", "*"),
        ("ALLOWED_ORIGINS", "https://tickets.example,"),
        ("ALLOWED_ORIGINS", "https://tickets.example/shop"),
        ("REDIS_NAMESPACE", "a{b}"),
        ("REDIS_SENTINELS", "host"),
        ("REDIS_CLUSTER_NODES", "host:0"),
        ("REDIS_HOST", "redis://host"),
        ("LOG_LEVEL", "loud"),
    ] {
        assert!(config(&[given]).is_err(), "{given:?}");
    }
}

#[test]
fn pages_of_the_listed_origins_are_admitted_and_programs_always() {
    let all = config(&[]).unwrap().site;
    assert!(all.admits(None) && all.admits(Some(b"https://evil.example")) && all.admits(Some(b"null")));
    let some = config(&[("ALLOWED_ORIGINS", "https://tickets.example, http://localhost:3000")]).unwrap().site;
    for (origin, expected) in [
        ("https://tickets.example", true),
        ("http://localhost:3000", true),
        ("http://tickets.example", false),
        ("https://tickets.example.evil.example", false),
        ("https://eviltickets.example", false),
        ("https://tickets.example:444", false),
        ("HTTPS://tickets.example", false),
        ("null", false),
        ("", false),
    ] {
        assert_eq!(some.admits(Some(origin.as_bytes())), expected, "{origin}");
    }
    assert!(some.admits(None));
    assert!(config(&[("ALLOWED_ORIGINS", "null")]).unwrap().site.admits(Some(b"null")));
}

#[test]
fn a_password_keeps_its_spaces_and_loses_the_end_of_its_line() {
    for (written, password) in [
        (" spaced ", Some(" spaced ")),
        ("secret\n", Some("secret")),
        ("secret \r\n", Some("secret ")),
        ("\u{a0}", Some("\u{a0}")),
        ("\n", None),
    ] {
        assert_eq!(
            config(&[("REDIS_PASSWORD", written)]).unwrap().store.redis.password.as_deref(),
            password,
            "{written:?}"
        );
    }
    assert!(config(&[("REDIS_PASSWORD", "two\nlines")]).is_err());
    assert_eq!(config(&[("REDIS_URL", " redis://h \n")]).unwrap().store.redis.url.as_deref(), Some("redis://h"));
}

#[test]
fn the_api_listens_on_loopback_unless_there_are_keys() {
    let check = |given: &[(&'static str, &str)], expected: Option<(&str, u16, bool)>| {
        let api = config(given).unwrap().api;
        let found = api.map(|api| (api.host.to_string(), api.port, api.is_port_given));
        assert_eq!(found, expected.map(|(host, port, given)| (host.into(), port, given)), "{given:?}");
    };
    check(&[], Some(("127.0.0.1", 8000, false)));
    check(&[("API_PORT", "8000"), ("API_HOST", "localhost")], Some(("127.0.0.1", 8000, true)));
    check(&[("API_PORT", "0"), ("API_HOST", "::1")], Some(("::1", 0, true)));
    check(&[("API_HOST", "0.0.0.0"), ("API_KEYS_FILE", "keys")], Some(("0.0.0.0", 8000, false)));
    check(&[("API_PORT", "OFF"), ("API_HOST", "0.0.0.0")], None);
}

#[test]
fn a_flag_is_named_as_a_flag_and_an_empty_one_is_none() {
    let matches = command().try_get_matches_from(["butaca", "--pace-factor", "x", "--hold-ttl-ms="]).unwrap();
    let values = Values::from_matches(&matches);
    assert_eq!(values.number("PACE_FACTOR").unwrap_err(), "--pace-factor=x: allowed is a whole number from 0 to 100");
    assert_eq!(values.number("HOLD_TTL_MS").unwrap(), Some(300_000));
}

#[test]
fn a_switch_without_a_value_is_on() {
    let check = |args: &[&str], is_on: bool| {
        let matches = command().try_get_matches_from(["butaca"].iter().chain(args)).unwrap();
        assert_eq!(Values::from_matches(&matches).switch("ACCEPT_LOSS"), Ok(is_on), "{args:?}");
    };
    check(&[], false);
    check(&["--accept-loss"], true);
    check(&["--accept-loss", "--store", "embedded"], true);
    check(&["--accept-loss", "0"], false);
    check(&["--accept-loss=1"], true);
}

#[test]
fn what_is_printed_hides_secrets_and_tells_the_source() {
    let mut values = Values::default();
    values.write("REDIS_PASSWORD", OsStr::new("secret"), Source::Environment);
    values.write("STORE", OsStr::new("redis"), Source::Flag);
    let config = Config::from_values(&values).unwrap();
    let text = config.shown(&values);
    let words = |name: &str| -> Vec<String> {
        let line = text.lines().find(|line| line.starts_with(name)).expect("every setting has a line");
        line.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(words("REDIS_PASSWORD"), ["REDIS_PASSWORD", "***", "environment"]);
    assert_eq!(words("STORE "), ["STORE", "redis", "flag"]);
    assert_eq!(words("DURABILITY"), ["DURABILITY", "window", "default"]);
    assert!(!text.contains("secret"));
}

fn written(name: &'static str, text: &str) -> Values {
    let mut values = Values::default();
    values.write(name, OsStr::new(text), Source::Environment);
    values
}

/// All numbers are read in one way: whole, in digits, within the bounds, with nothing but spaces around them.
#[test]
fn every_number_is_whole_and_within_its_bounds() {
    for setting in SETTINGS {
        let Kind::Number { min, max } = setting.kind else { continue };
        let read = |text: &str| written(setting.name, text).number(setting.name);
        for (text, expected) in [
            (min.to_string(), min),
            (max.to_string(), max),
            (format!(" {max}\n"), max),
            (format!("\t{min} "), min),
            (format!("00{max}"), max),
        ] {
            assert_eq!(read(&text), Ok(Some(expected)), "{}={text:?}", setting.name);
        }
        let beyond = [max.checked_add(1), min.checked_sub(1)].into_iter().flatten().map(|number| number.to_string());
        let odd = ["-1", "+1", "1.0", "1e3", "0x10", "1_000", "1,000", "1 0", "ten", "1\n2", "٣", "\u{feff}1", "1\0"];
        for text in beyond.chain(odd.map(str::to_owned)).chain([format!("{max}0"), "9".repeat(40)]) {
            let line = read(&text).expect_err(&format!("{}={text:?}", setting.name));
            assert!(line.starts_with(&format!("{}=", setting.name)) && !line.contains(['\n', '\0']), "{line:?}");
        }
        let default = written(setting.name, "").number(setting.name).expect("nothing is no value");
        assert!(default.is_none_or(|number| (min..=max).contains(&number)), "{}", setting.name);
    }
}

/// A secret is taken as it is written, but for the end of the line of the file that it stood in, and never shown.
#[test]
fn every_secret_is_taken_as_it_is_written() {
    let secrets = SETTINGS.iter().filter(|setting| matches!(setting.kind, Kind::Secret(_)));
    let mut seen = 0;
    for setting in secrets {
        seen += 1;
        let read = |text: &str| written(setting.name, text).read(setting.name, |text| Some(text.to_owned()));
        for (text, expected) in [
            (" spaced ", " spaced "),
            ("line\n", "line"),
            ("line \r\n", "line "),
            ("\u{a0}käse\u{3000}", "\u{a0}käse\u{3000}"),
            ("'\"\\$%#", "'\"\\$%#"),
        ] {
            assert_eq!(read(text), Ok(Some(expected.to_owned())), "{}={text:?}", setting.name);
        }
        for text in ["two\nlines", "a\tb", "a\0b", "\nfirst"] {
            let line = read(text).expect_err("a control character");
            assert!(line.contains("***") && !line.contains("lines"), "{line}");
        }
    }
    assert!(seen >= 2, "the address with its password, and the password");
}
