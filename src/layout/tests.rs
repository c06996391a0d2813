//! What is a layout and what is not; that one says the same in every form; what it costs.

use std::fmt::Write as _;

use super::Layout;
use crate::limits::layout::{LAYOUT_JSON_BYTES_MAX, LAYOUT_SEAT_BYTES_MAX, LAYOUT_SEATS_MAX};

/// A seat with what it needs, and `more` fields.
fn seat(id: &str, section: &str, row: &str, more: &str) -> String {
    format!(r#"{{"id":"{id}","section":"{section}","row":"{row}","number":1,"category":"a","x":0,"y":0{more}}}"#)
}

fn seats(seats: &[String]) -> String {
    format!(r#"{{"seats":[{}]}}"#, seats.join(","))
}

fn parse(json: &str) -> Layout {
    Layout::parse("hall", json.as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn neighbours(layout: &Layout) -> Vec<(&str, &str)> {
    let count = u32::try_from(layout.len()).expect("few");
    (0..count).filter_map(|seat| Some((layout.id_of(seat), layout.id_of(layout.next_to(seat)?)))).collect()
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let check = |json: &str, said: &str| {
        let error = Layout::parse("hall", json.as_bytes()).expect_err(json).to_string();
        assert!(error.contains(said) && !error.contains('\n'), "{json}: {error:?} does not say {said:?}");
    };
    let one = |more: &str| seats(&[seat("A1", "s", "A", more)]);
    check("", "EOF");
    check("[]", "expected an object with seats");
    check("7", "expected an object with seats");
    check("{}", "missing field `seats`");
    check(r#"{"seats":[]}"#, "no seats");
    check(r#"{"seats":{}}"#, "expected a sequence");
    check(r#"{"seats":[{"id":"A1"}]}"#, "missing field `section`");
    check(&one(r#","colour":1"#), "unknown field `colour`");
    check(&one(r#","x":1"#), "duplicate field `x`");
    check(&one(r#","accessible":1"#), "expected a boolean");
    check(&one("").replace("1,\"category", "1.5,\"category"), "a text or an integer");
    check(&one("").replace("\"number\":1,", ""), "missing field `number`");
    check(&one("").replace("\"x\":0", "\"x\":1e999"), "number out of range");
    check(&one("").replace("\"x\":0", "\"x\":NaN"), "line 1");
    check(&one("").replace("\"x\":0", "\"x\":\"1\""), "expected f64");
    check(&one("").replace("\"x\":0", "\"x\":-1e300"), r#"seat 0 ("A1"): x and y are from"#);
    check(&one("").replace("A1", ""), r#"seat 0 (""): its id is not 1 to 128 bytes"#);
    check(&one("").replace("A1", &"é".repeat(65)), "its id is not");
    check(&one("").replace("A1", r"A\n1"), r#"("A\n1"): its id is not"#);
    check(&one("").replace("A1", "A\u{200b}1"), "its id is not");
    check(&one("").replace("\"s\"", &format!("\"{}\"", "s".repeat(129))), "its section is longer than 128 bytes");
    check(&one("").replace("\"A\"", r#""\u0000""#), "its row is");
    check(&one("").replace("1,\"category\":\"a\"", r#""\u202e","category":"a""#), "its number is");
    check(&seats(&["A1", "B", "A1"].map(|id| seat(id, "s", "A", ""))), r#"seat 2 ("A1"): seat 0 has the same id"#);
    check(&one(r#","companion_of":"A2""#), r#"seat 0 ("A1"): it is the companion of "A2", which is not a seat"#);
    check(&one(r#","companion_of":"A1""#), "the companion of itself");
    let with = |field: &str| one("").replacen('{', &format!("{{{field},"), 1);
    check(&with(r#""categories":[{"id":"b"}]"#), r#"its category "a" is not among the categories"#);
    check(&with(r#""categories":[]"#), "is not among");
    check(&with(r#""categories":[{"id":"a"},{"id":"a"}]"#), r#"two categories have the id "a""#);
    check(&with(r#""categories":[{"name":"a"}]"#), "missing field `id`");
    check(&with(r#""categories":[{"id":"a","price":1}]"#), "unknown field `price`");
    check(&with(r#""rows":[["s","B"]]"#), r#"rows: ["s", "B"] has no seats"#);
    check(&with(r#""rows":[["s","A"],["s","A"]]"#), "is there twice");
    check(&with(r#""rows":[["s"]]"#), "a tuple of size 2");
    check(&with(r#""size":{"width":-1,"height":1}"#), "width and height are from 0");
    check(&with(r#""size":{"width":1}"#), "missing field `height`");
    check(&with(r#""focal":{"x":1,"y":2e9}"#), "focal: x and y are from");
    check(&with(r#""shapes":[{"type":"wall","points":[{"x":0,"y":1e10}]}]"#), "shape 0: x and y");
    check(&with(r#""shapes":[{"points":[]}]"#), "missing field `type`");
    check(&with(&format!(r#""name":"{}""#, "n".repeat(513))), "the name is longer than 512 bytes");
    check(&"[".repeat(10), "expected");
    check(&" ".repeat(LAYOUT_JSON_BYTES_MAX + 1), "at most 33554432");
    let many: Vec<String> = (0..=LAYOUT_SEATS_MAX).map(|id| seat(&id.to_string(), "s", "A", "")).collect();
    check(&seats(&many), "200001 seats, at most 200000");
    let category = |id: usize| seat(&id.to_string(), "s", "A", "").replace("\"a\"", &format!("\"{id}\""));
    check(&seats(&(0..1_001).map(category).collect::<Vec<_>>()), "1001 categories, at most 1000");
}

#[test]
fn a_version_is_what_is_said_and_not_how() {
    let plain = r#"{"name":"H","focal":{"x":1,"y":-2.5},"seats":[
        {"id":"A1","section":"s","row":"A","number":"1","category":"a","x":10,"y":0.1}]}"#;
    let version = |json: &str| parse(json).version().to_string();
    let same = [
        plain.replace(['\n', ' '], ""),
        r#"{"seats":[{"y":1e-1,"x":1.0e1,"gap_after":false,"category":"a","accessible":false,"number":"1","row":"A",
           "section":"s","companion_of":null,"id":"\u00411"}],"focal":{"y":-2.50,"x":1.0},"name":"H","shapes":[],"rows":[]}"#
            .into(),
        String::from_utf8(parse(plain).document().json().to_vec()).expect("JSON is UTF-8"),
    ];
    for json in same {
        assert_eq!(version(&json), version(plain), "{json}");
    }
    let other = [
        ("\"1\"", "1"),
        ("0.1", "0.10000000000000002"),
        ("\"H\"", "\"h\""),
        ("0.1}", "0.1,\"gap_after\":true}"),
        ("\"seats\"", "\"categories\":[{\"id\":\"a\"}],\"seats\""),
    ];
    for (from, to) in other {
        assert_ne!(version(&plain.replacen(from, to, 1)), version(plain), "{to}");
    }
    let layout = parse(plain);
    assert_eq!(layout.version().len(), 32);
    assert!(layout.document().json().starts_with(br#"{"name":"H","focal":{"x":1,"y":-2.5},"seats":[{"id":"A1","#));
    assert!(layout.document().gzip().starts_with(&[0x1f, 0x8b]));
}

#[test]
fn neighbours_follow_each_other_in_the_list_of_their_row() {
    let check = |list: &[(&str, &str, &str, &str)], expected: &[(&str, &str)]| {
        let list: Vec<String> = list.iter().map(|(id, section, row, more)| seat(id, section, row, more)).collect();
        assert_eq!(neighbours(&parse(&seats(&list))), expected, "{list:?}");
    };
    const GAP: &str = r#","gap_after":true"#;
    check(&[("1", "s", "A", ""), ("2", "s", "A", ""), ("3", "s", "A", "")], &[("1", "2"), ("2", "3")]);
    check(&[("1", "s", "A", GAP), ("2", "s", "A", ""), ("3", "s", "A", GAP)], &[("2", "3")]);
    // Rows of two sections are two rows, whatever they are called.
    check(&[("1", "s", "A", ""), ("2", "t", "A", ""), ("3", "s", "B", ""), ("4", "s", "B", "")], &[("3", "4")]);
    check(
        &[("1", "s", "A", ""), ("2", "s", "B", ""), ("3", "s", "A", ""), ("4", "s", "B", "")],
        &[("1", "3"), ("2", "4")],
    );
}

#[test]
fn rows_have_an_order() {
    let at = |id: &str, row: &str, x: i32| seat(id, "s", row, "").replace("\"x\":0", &format!("\"x\":{x}"));
    let list = [at("1", "A", 30), at("2", "B", 10), at("3", "C", -10), at("4", "B", 30)];
    let check = |field: &str, expected: &str| {
        let layout = parse(&seats(&list).replacen('{', &format!("{{{field}"), 1));
        assert_eq!(layout.rows().map(|(_, row, _)| row).collect::<String>(), expected, "{field}");
        for (index, place) in [0_u32, 1, 2, 3].into_iter().zip(["A", "B", "C", "B"]) {
            assert_eq!((layout.row_of(index), layout.section_of(index), layout.category_of(index)), (place, "s", "a"));
        }
    };
    check("", "ABC");
    check(r#""focal":{"x":0,"y":0},"#, "CBA");
    check(r#""focal":{"x":21,"y":0},"#, "BAC");
    check(r#""focal":{"x":0,"y":0},"rows":[["s","A"]],"#, "ACB");
    check(r#""rows":[["s","B"],["s","C"],["s","A"]],"#, "BCA");
    // As near as each other: the order of the list.
    check(r#""focal":{"x":5,"y":0},"#, "BCA");
}

#[test]
fn ids_names_and_sections_are_found() {
    let list = [seat("1", "s", "A", ""), seat("2", "t", "A", r#","accessible":true"#), seat("3", "s", "B", "")];
    let layout = parse(&seats(&list));
    assert_eq!((layout.index_of("2"), layout.index_of("4"), layout.id_of(2)), (Some(1), None, "3"));
    assert_eq!(layout.sections().collect::<Vec<_>>(), ["s", "t"]);
    assert_eq!(layout.categories().collect::<Vec<_>>(), ["a"]);
    assert_eq!(layout.seats_of_section("s").collect::<Vec<_>>(), [0, 2]);
    assert_eq!(layout.seats_of_section("u").count(), 0);
    assert_eq!([0, 1, 2].map(|seat| layout.is_accessible(seat)), [false, true, false]);
}

#[test]
fn a_layout_costs_a_bounded_number_of_bytes_a_seat() {
    let count = LAYOUT_SEATS_MAX;
    let check = |name: &str, row_of: fn(usize) -> usize, category_of: fn(usize) -> usize| {
        let mut json = String::from(r#"{"seats":["#);
        for at in 0..count {
            let (row, category) = (row_of(at), category_of(at));
            let comma = if at == 0 { "" } else { "," };
            write!(
                json,
                r#"{comma}{{"id":"{at}","section":"","row":"{row}","number":{at},"category":"{category}","x":1,"y":2}}"#
            )
            .expect("a String takes everything");
        }
        let layout = parse(&(json + "]}"));
        let seats = 0..u32::try_from(count).expect("few");
        let names: usize = seats.map(|at| at.to_string().len() + layout.row_of(at).len()).sum();
        let bytes = layout.memory_bytes() - names.min(layout.memory_bytes());
        println!(
            "{name}: {} bytes a seat beside names, JSON {}, gzip {}",
            bytes / count,
            layout.document().json().len() / count,
            layout.document().gzip().len() / count
        );
        assert!(bytes <= LAYOUT_SEAT_BYTES_MAX * count, "{name}: {} bytes a seat", bytes / count);
    };
    check("rows of 25", |at| at / 25, |at| at / 10_000);
    check("rows of 1, 1,000 categories", |at| at, |at| at % 1_000);
}
