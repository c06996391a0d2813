//! The house stays tidy: every file uses only what stands before it, every dependency is named in its place, and every
//! file says at its head what it owns and is short enough to be read.
//!
//! The two tables are the rules; what they mean is below them. A dependency that is not in the table has no place yet:
//! give it one.

mod bounds;
mod circles;
mod figures;
mod named;
mod source;
mod walk;
mod width;

use source::{Source, read_sources};

/// Modules in the order in which they may use each other: a line may use itself and the lines above it. A module
/// belongs to the longest entry that it begins with, so a file of `runtime` that is not named stands where `runtime`
/// does.
const LAYERS: &[&[&str]] = &[
    &["limits", "marks", "files"],
    &["planted"],
    &["engine::ids"],
    &["layout"],
    &["engine"],
    &["cluster"],
    &["wire"],
    &["audience"],
    &["figures"],
    &["api::keys"],
    &["auth"],
    &["config", "log"],
    &["clock"],
    &["acts"],
    &["persist::record", "persist::batch", "persist::queue", "persist::status", "persist::nodes"],
    &["persist::stores", "persist::link", "persist::parts"],
    &["persist::shard", "persist::thread"],
    &["persist"],
    &["peers"],
    &["slots"],
    &["node"],
    &[
        "runtime::readiness",
        "runtime::executor",
        "runtime::board",
        "runtime::desk",
        "runtime::preflight",
        "runtime::process",
    ],
    &[
        "runtime::memory",
        "runtime::origins",
        "runtime::random",
        "runtime::send_ring",
        "runtime::socket",
        "runtime::wheel",
    ],
    &["runtime::doorstep"],
    &["runtime::site::exchange", "runtime::site::letters"],
    &["runtime::site::gathers", "runtime::site::rooms", "runtime::site::health"],
    &["runtime::site::sight"],
    &["runtime::mail"],
    &["runtime::mailbox"],
    &["runtime::core", "runtime::site"],
    &["runtime"],
    &["api"],
    &["opening"],
    &["neighbours"],
    &["storage", "signals", "keyring"],
    &["server"],
    &["main"],
];

/// Where a dependency may be named.
const PLACES: &[(&str, &[&str])] = &[
    ("axum", &["api"]),
    ("base64", &["api::docs", "auth", "wire::v2::map"]),
    ("clap", &["config"]),
    ("form_urlencoded", &["api::query"]),
    ("futures_lite", &["api::body", "api::events", "api::layouts", "api::serve", "runtime::executor"]),
    ("glommio", &["runtime::executor"]),
    ("http_body_util", &["api::body"]),
    ("httparse", &["wire::http"]),
    ("hyper", &["api::serve"]),
    ("hyper_util", &["api::serve"]),
    ("io_uring", &["runtime::send_ring"]),
    ("itoa", &["wire"]),
    ("jsonwebtoken", &["auth::keys", "auth::token"]),
    ("memchr", &["wire"]),
    ("libmimalloc_sys", &["runtime::memory"]),
    ("mimalloc", &["main"]),
    ("percent_encoding", &["node::acts", "wire::http"]),
    ("flate2", &["layout::document", "wire::v2::map"]),
    ("fjall", &["persist::stores::embedded::library"]),
    ("xxhash_rust", &["layout::ids", "persist::stores::embedded"]),
    ("redis", &["persist::stores::redis"]),
    ("ring", &["auth", "runtime::random"]),
    ("rustix", &["api::serve", "log", "runtime", "server"]),
    ("serde", &["api", "auth", "layout", "node::acts", "opening", "wire"]),
    (
        "serde_json",
        &[
            "api",
            "auth",
            "layout",
            "node::acts",
            "opening",
            "persist::stores::shelf",
            "wire",
            "figures",
            "log::last_words",
            "runtime::site::health",
        ],
    ),
    ("hashbrown", &["engine::keyed"]),
    ("siphasher", &["engine::keyed", "node::proofs", "runtime::origins"]),
    ("sha2", &["api::docs", "api::keys", "layout::document"]),
    ("signal_hook", &["signals"]),
    ("simd_json", &["wire"]),
    ("subtle", &["api::keys"]),
    ("tokio", &["api", "runtime::desk"]),
    (
        "tracing",
        &[
            "api",
            "config",
            "log",
            "opening",
            "peers",
            "persist",
            "runtime",
            "keyring",
            "neighbours",
            "storage",
            "signals",
            "server",
        ],
    ),
    ("tracing_subscriber", &["log"]),
    ("ureq", &["keyring"]),
    ("utoipa", &["api"]),
    ("tungstenite", &["wire::frame", "wire::http"]),
];

/// Longest file: beyond it, it holds two ideas.
const LINES_MAX: usize = 500;

/// The longest of the entries that `module` is or lies in.
fn longest<'a>(module: &str, entries: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    entries.filter(|entry| is_in(module, entry)).max_by_key(|entry| entry.len())
}

fn is_in(module: &str, entry: &str) -> bool {
    module.strip_prefix(entry).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn layer_of(module: &str) -> Option<usize> {
    let entry = longest(module, LAYERS.iter().copied().flatten().copied())?;
    LAYERS.iter().position(|layer| layer.contains(&entry))
}

fn report(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}:\n  {}", violations.join("\n  "));
}

fn sources() -> Vec<Source> {
    read_sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
}

#[test]
fn a_file_uses_only_what_stands_before_it() {
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| source.module != "lib") {
        let Some(own) = layer_of(&source.module) else {
            violations.push(format!("{} has no layer", source.file));
            continue;
        };
        for used in source.used_modules() {
            match layer_of(&used) {
                Some(layer) if layer <= own => {}
                // A module that only holds others (`runtime`) is no layer of its own for what it contains.
                Some(_) if is_in(&source.module, &used) => {}
                _ => violations.push(format!("{} uses {used}", source.file)),
            }
        }
    }
    report("a file uses only what stands before it (LAYERS in tests/pure/tidy/mod.rs)", &violations);
}

#[test]
fn a_dependency_is_named_in_its_place() {
    let manifest = include_str!("../../../Cargo.toml");
    let (_, dependencies) = manifest.split_once("\n[dependencies]\n").expect("the manifest has dependencies");
    let (dependencies, _) = dependencies.split_once("\n[").expect("another section follows");
    let names = dependencies.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.replace('-', "_"));
    let names: Vec<String> = names.collect();
    let sources = sources();
    let mut violations = Vec::new();
    for (name, places) in PLACES {
        let users = sources.iter().filter(|source| source.names_crate(name));
        let modules: Vec<&str> = users.map(|source| source.module.as_str()).collect();
        let stale = places.iter().filter(|place| !modules.iter().any(|module| is_in(module, place)));
        violations.extend(stale.map(|place| format!("{place} does not name {name} any more")));
        if !names.iter().any(|dependency| dependency == name) {
            violations.push(format!("{name} is no dependency"));
        }
    }
    for name in names {
        let Some((_, places)) = PLACES.iter().find(|(of, _)| *of == name) else {
            violations.push(format!("{name} has no place"));
            continue;
        };
        for source in sources.iter().filter(|source| source.names_crate(&name)) {
            if !places.iter().any(|place| is_in(&source.module, place)) {
                violations.push(format!("{} names {name}", source.file));
            }
        }
    }
    report("a dependency is named in its place (PLACES in tests/pure/tidy/mod.rs)", &violations);
}

/// What a pure module never names: descriptors, the executor, clocks, files, threads.
const IMPURE: &[&str] =
    &["rustix", "glommio", "Instant", "SystemTime", "std::fs", "std::net", "std::os", "std::thread"];

#[test]
fn one_shard_of_the_service_is_pure() {
    let pure = ["engine", "audience", "wire", "node", "cluster"];
    let mut violations = Vec::new();
    for source in sources().iter().filter(|source| pure.iter().any(|module| is_in(&source.module, module))) {
        let code = source.code();
        for word in IMPURE.iter().filter(|word| code.contains(*word)) {
            // An address of the network is a value like any other.
            let has_addresses = ["wire::proxy", "wire::http::fields"].contains(&source.module.as_str());
            if !(*word == "std::net" && has_addresses) {
                violations.push(format!("{} names {word}", source.file));
            }
        }
    }
    report("the decisions of a shard need no descriptor, clock, file or thread", &violations);
}

#[test]
fn every_file_has_a_head_and_an_end() {
    let mut violations = Vec::new();
    for source in sources() {
        if !source.text.starts_with("//!") {
            violations.push(format!("{} does not begin with //!", source.file));
        }
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            violations.push(format!("{} has {lines} lines, over {LINES_MAX}", source.file));
        }
    }
    report("every file says what it owns and is short enough to be read", &violations);
}

#[test]
fn the_rules_see_what_they_forbid() {
    let source = Source {
        file: "src/wire/frame.rs".into(),
        module: "wire::frame".into(),
        text: "//! glommio::Task\nuse std::fmt;\nuse super::{http, utf8::check as c};\nuse crate::{\n    engine::ids::{ConnId, RoomId},\n    \
               runtime,\n};\n\nmod tests {\n    use super::Frame;\n}\nfn f() { crate::config::load(); glommio::spawn(\"redis::\") }\n"
            .into(),
    };
    let mut used = source.used_modules();
    used.sort();
    let expected = [
        "config::load",
        "engine::ids::ConnId",
        "engine::ids::RoomId",
        "runtime",
        "wire::frame::Frame",
        "wire::http",
        "wire::utf8::check",
    ];
    assert_eq!(used, expected);
    assert!(source.names_crate("glommio") && !source.names_crate("redis") && !source.names_crate("io"));
    assert!(layer_of("clock") < layer_of("runtime::driver") && layer_of("wire::frame") < layer_of("config"));
}
