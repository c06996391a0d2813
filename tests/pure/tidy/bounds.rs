//! Every bound stands in `limits.rs`, and somebody keeps it: a number elsewhere is a code, a unit or part of a format,
//! and then it stands in the table here.

use super::report;
use super::source::Source;

/// Constants that invent a number and bound nothing, by module, and what they are instead.
const NUMBERS: &[(&str, &[&str], &str)] = &[
    ("audience::history", &["STATE_SHIFT"], "where bits stand"),
    ("auth::session", &["SAID", "CODE", "VERSION", "CHANCE_BITS"], "the format of a token"),
    ("audience::pace", &["PER_CORE"], "a unit"),
    ("cluster::beat", &["VERSION"], "the format of a heartbeat"),
    ("cluster::entry", &["VERSION"], "the format of an entry"),
    ("engine::time", &["DAY_MS"], "a unit"),
    ("figures::histogram", &["US", "MS", "S", "FINE_WHOLE", "FINE_PER_DECADE"], "units, and the shape of the buckets"),
    (
        "node::afar",
        &[
            "COMMAND", "RESYNC", "GONE", "ANSWER", "NEWS", "ROOM", "NOT_MINE", "AWAY", "RETURN", "ERRAND", "DONE",
            "STATE", "FORGET", "PIECE", "FIRST", "MIDDLE", "LAST",
        ],
        "the format of a letter",
    ),
    ("node::parted", &["AFAR"], "a bit of a ticket"),
    ("node::rate", &["TICKS_PER_S"], "a unit"),
    ("node::proofs", &["DIGITS"], "the format of a proof"),
    (
        "persist::record",
        &[
            "VERSION",
            "VERSION_WITHOUT_ORIGIN",
            "VERSION_OF_SALES",
            "CHECKSUM_BYTES",
            "NOBODY",
            "SESSION",
            "SUBJECT",
            "HOLDER",
            "ORDER",
            "BLOCK",
        ],
        "the format of a record",
    ),
    ("peers::wrap", &["SHARDS", "GIVEN", "FORGOTTEN"], "the format of a letter"),
    ("layout::search", &["STEPWISE"], "where one way of computing the same is faster than another"),
    ("persist::stores::embedded", &["KEYSPACE", "TALLY_BYTES"], "the format of the files"),
    ("runtime::preflight::rings", &["LAST_OPERATION"], "a number of the kernel's"),
    ("wire::dear", &["CHUNK"], "as many as a byte can count"),
    ("wire::json_read", &["SMALL_DIGITS", "NEAR"], "digits that fit a machine word, a wide comparison"),
    ("wire::proxy", &["LINE_BYTES_MAX", "FIXED_BYTES"], "the format of a PROXY header"),
    ("wire::respond", &["UPGRADE_REQUIRED"], "a status"),
];

/// How the names of codes begin: RFC 6455 or sysexits say what they are.
const CODES: &[&str] = &["CLOSE_", "EXIT_"];

/// The constants of numbers that a file makes, outside of its functions: name and value.
fn constants(code: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_item = |at: usize| {
        let line = code[..at].rfind('\n').map_or(0, |end| end + 1);
        matches!(&code[line..at], "" | "pub " | "pub(crate) " | "pub(super) ")
    };
    code.match_indices("const ").filter(move |(at, _)| is_item(*at)).filter_map(|(at, _)| {
        let (name, rest) = code[at + 6..].split_once(": ")?;
        let (kind, value) = rest.split_once(" = ")?;
        let is_number = ["u8", "u16", "u32", "u64", "u128", "usize", "i32", "i64", "f64", "Tenths"].contains(&kind);
        let is_name = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_') && name != "_";
        (is_number && is_name).then(|| (name, value.split(';').next().unwrap_or_default()))
    })
}

/// Whether a value names nothing: what is made from bounds is none of its own.
fn is_invented(value: &str) -> bool {
    !value.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word.starts_with(|c: char| c.is_alphabetic()))
}

/// Whether only tests see this module: `#[cfg(test)] mod name;` declares it.
fn is_test(module: &str, sources: &[Source]) -> bool {
    let Some((parent, name)) = module.rsplit_once("::") else { return false };
    let declares = format!("#[cfg(test)]\nmod {name};");
    sources.iter().any(|source| source.module == parent && source.text.contains(&declares))
}

/// The code of a file up to its tests.
fn code_before_tests(source: &Source) -> String {
    source.code().split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned()
}

fn is_known(module: &str, name: &str) -> bool {
    CODES.iter().any(|code| name.starts_with(code))
        || NUMBERS.iter().any(|(of, names, _)| super::is_in(module, of) && names.contains(&name))
}

/// Constants outside of `limits.rs` that may be bounds.
fn strays(sources: &[Source]) -> Vec<String> {
    let mut strays = Vec::new();
    for source in sources {
        if super::is_in(&source.module, "limits") || is_test(&source.module, sources) {
            continue;
        }
        let code = code_before_tests(source);
        let invented = constants(&code).filter(|(name, value)| is_invented(value) && !is_known(&source.module, name));
        strays.extend(invented.map(|(name, _)| format!("{} makes {name}", source.file)));
    }
    strays
}

#[test]
fn every_bound_stands_in_limits() {
    let rule = "a bound stands in limits.rs; what is none stands in NUMBERS in tests/pure/tidy/bounds.rs";
    report(rule, &strays(&super::sources()));
}

#[test]
fn every_bound_is_kept_by_somebody() {
    let sources = super::sources();
    let (limits, others): (Vec<_>, Vec<_>) = sources.iter().partition(|source| super::is_in(&source.module, "limits"));
    let limits: Vec<String> = limits.into_iter().map(code_before_tests).collect();
    let bounds: Vec<(&str, &str)> = limits.iter().flat_map(|code| constants(code)).collect();
    // A bound that another one is made from is kept with that.
    let values = bounds.iter().map(|(_, value)| (*value).to_owned());
    let users: Vec<String> = others.into_iter().map(code_before_tests).chain(values).collect();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let is_named = |name: &str| {
        users.iter().any(|code| {
            let mut places = code.match_indices(name);
            places.any(|(at, _)| !code[..at].ends_with(is_word) && !code[at + name.len()..].starts_with(is_word))
        })
    };
    let unkept = bounds.iter().filter(|(name, _)| !is_named(name)).map(|(name, _)| (*name).to_owned());
    report("somebody keeps each bound of limits.rs", &unkept.collect::<Vec<_>>());
}

#[test]
fn the_table_of_numbers_is_not_stale() {
    let sources = super::sources();
    let stands = |module: &str, name: &str| {
        let inside = sources.iter().filter(|source| super::is_in(&source.module, module));
        inside.map(Source::code).any(|code| constants(&code).any(|(constant, _)| constant == name))
    };
    let rows = NUMBERS.iter().flat_map(|(module, names, _)| names.iter().map(move |name| (module, name)));
    let stale = rows.filter(|(module, name)| !stands(module, name)).map(|(module, name)| format!("{module}: {name}"));
    report("every number of the table stands where it says", &stale.collect::<Vec<_>>());
}

#[test]
fn a_bound_that_stands_elsewhere_is_found() {
    let text = "//! x\npub(crate) const DEPTH_MAX: usize = 4 * 1_024;\nconst ALL: u64 = DEPTH_MAX * 2;\nconst EXIT_NOW: u8 = 7;\n\
                const DAY_MS: u64 = 1;\nconst TEXT: &str = \"1\";\n#[cfg(test)]\nmod tests {\n    const N: u32 = 3;\n}\n";
    let source = |module: &str| Source { file: format!("{module}.rs"), module: module.into(), text: text.to_owned() };
    let expected = ["node.rs makes DEPTH_MAX", "node.rs makes DAY_MS", "engine::time.rs makes DEPTH_MAX"];
    assert_eq!(strays(&[source("node"), source("engine::time"), source("limits")]), expected);
}
