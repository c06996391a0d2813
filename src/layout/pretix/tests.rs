//! Plans of pretix's editor: what becomes of their rows, distances and areas.

use crate::layout::Layout;

/// A seat at (x, y) of its row.
fn seat(id: &str, x: f64, y: f64) -> String {
    format!(r#"{{"seat_guid":"{id}","seat_number":"1","position":{{"x":{x},"y":{y}}},"category":"Gold","radius":8}}"#)
}

fn row(name: &str, seats: &[String]) -> String {
    let seats = seats.join(",");
    format!(r#"{{"row_number":"{name}","row_number_position":"both","position":{{"x":100,"y":10}},"seats":[{seats}]}}"#)
}

fn zone(name: &str, rows: &[String], areas: &str) -> String {
    let rows = rows.join(",");
    format!(r#"{{"name":"{name}","zone_id":"z","position":{{"x":1000,"y":-5}},"rows":[{rows}],"areas":[{areas}]}}"#)
}

fn plan(zones: &[String]) -> String {
    let (zones, categories) = (zones.join(","), r##"[{"name":"Gold","color":"#ffd700"}]"##);
    format!(r#"{{"name":"H","size":{{"width":640,"height":480}},"categories":{categories},"zones":[{zones}]}}"#)
}

fn parse(json: &str) -> Layout {
    Layout::parse_pretix("hall", json.as_bytes()).unwrap_or_else(|error| panic!("{error}: {json}"))
}

/// A row of seats at these places: which of them have a gap behind them.
fn gaps(places: &[f64]) -> Vec<usize> {
    let seats: Vec<String> = places.iter().zip(0..).map(|(&x, id)| seat(&format!("{id}"), x, 0.0)).collect();
    let layout = parse(&plan(&[zone("Z", &[row("A", &seats)], "")]));
    let last = places.len() - 1;
    (0..last).filter(|&at| layout.next_to(u32::try_from(at).expect("few")).is_none()).collect()
}

#[test]
fn a_gap_is_more_than_one_and_a_half_of_the_usual_distance() {
    let check = |places: &[f64], expected: &[usize]| assert_eq!(gaps(places), expected, "{places:?}");
    check(&[0.0], &[]);
    check(&[0.0, 500.0], &[]);
    check(&[0.0, 25.0, 50.0, 75.0], &[]);
    check(&[0.0, 25.0, 50.0, 87.5, 112.5], &[]);
    check(&[0.0, 25.0, 50.0, 87.6, 112.6], &[2]);
    check(&[0.0, 25.0, 125.0], &[1]);
    check(&[0.0, 25.0, 100.0, 125.0, 200.0, 225.0], &[1, 3]);
    // From right to left as well.
    check(&[100.0, 75.0, 25.0, 0.0], &[1]);
}

#[test]
fn rows_of_two_zones_are_two_rows() {
    let rows = |first: &str| [row("A", &[seat(first, 0.0, 0.0), seat(&format!("{first}2"), 25.0, 0.0)])];
    let check = |zones: [(&str, &str); 2], expected: [(&str, &str); 2]| {
        let zones = [zone(zones[0].0, &rows("a"), ""), zone(zones[1].0, &rows("b"), "")];
        let layout = parse(&plan(&zones));
        assert_eq!(layout.rows().map(|(section, row, _)| (section, row)).collect::<Vec<_>>(), expected);
        assert_eq!([0, 1, 2, 3].map(|seat| layout.next_to(seat)), [Some(1), None, Some(3), None]);
    };
    check([("Stalls", ""), ("Balcony", "")], [("Stalls", "A"), ("Balcony", "A")]);
    // Zones need no names, and two may have the same.
    check([("Box", ""), ("Box", "")], [("Box", "A"), ("Box (2)", "A")]);
    check([("", ""), ("", "")], [("", "A"), ("(2)", "A")]);
    // So do rows.
    let twice = zone("Z", &[row("A", &[seat("1", 0.0, 0.0)]), row("A", &[seat("2", 25.0, 0.0)])], "");
    let layout = parse(&plan(&[twice]));
    assert_eq!(layout.rows().map(|(_, row, _)| row).collect::<Vec<_>>(), ["A", "A (2)"]);
}

#[test]
fn what_is_drawn_is_kept_and_the_rest_is_left_out() {
    let areas = r##"{"shape":"rectangle","color":"#eee","rotation":90,"position":{"x":10,"y":20},"rectangle":{"width":4,"height":2},
        "text":{"text":"Stage","position":{"x":0,"y":0},"color":"#000"},"border_color":"#000"},
        {"shape":"text","position":{"x":1,"y":2},"text":{"text":"Bar"}},{"shape":"text","position":{"x":1,"y":2}},
        {"shape":"circle","position":{"x":0,"y":5},"circle":{"radius":1}}"##;
    let json =
        plan(&[zone("Z", &[row("A", &[seat("1", 0.25, 1.5)]), row("none", &[])], areas), zone("empty", &[], "")]);
    let layout = parse(&json);
    let canonical = std::str::from_utf8(layout.document().json()).expect("JSON is UTF-8");
    let turned = r#"[{"x":1010,"y":15},{"x":1010,"y":19},{"x":1008,"y":19},{"x":1008,"y":15}],"label":"Stage"}"#;
    let bar = r#"{"type":"text","points":[{"x":1001,"y":-3}],"label":"Bar"}"#;
    assert!(
        canonical.starts_with(r#"{"name":"H","size":{"width":640,"height":480},"shapes":[{"type":"polygon","points":"#)
    );
    for part in [turned, bar, r#""x":1100.25,"y":6.5}]"#, r##""categories":[{"id":"Gold","color":"#ffd700"}]"##] {
        assert!(canonical.contains(part), "{part} is not in {canonical}");
    }
    assert_eq!(layout.sections().collect::<Vec<_>>(), ["Z"]);
    let again = Layout::parse("hall", layout.document().json()).expect("what is written can be read");
    assert_eq!(again.version(), layout.version());
}

#[test]
fn what_is_wrong_is_said() {
    let good = plan(&[zone("Z", &[row("A", &[seat("1", 0.0, 0.0), seat("2", 25.0, 0.0)])], "")]);
    let check = |from: &str, to: &str, said: &str| {
        let json = good.replacen(from, to, 1);
        let error = Layout::parse_pretix("hall", json.as_bytes()).expect_err(&json).to_string();
        assert!(error.contains(said) && !error.contains('\n'), "{json}: {error:?} does not say {said:?}");
    };
    check("\"zones\"", "\"zone\"", "missing field `zones`");
    check("\"seat_guid\"", "\"guid\"", "missing field `seat_guid`");
    check("\"seat_guid\":\"2\"", "\"seat_guid\":\"1\"", r#"seat 1 ("1"): seat 0 has the same id"#);
    check("\"seat_guid\":\"2\"", "\"seat_guid\":\"\"", "its id is not 1 to 128 bytes");
    check("\"category\":\"Gold\"", "\"category\":\"\"", r#"its category "" is not among"#);
    check("\"x\":1000", "\"x\":1e300", "x and y are from");
    check("[{\"row_number\"", "[],\"other\":[{\"row_number\"", "no seats");
}

/// Why `count` times `part` between `begin` and `end` is refused.
fn refused(begin: &str, part: &str, count: usize, end: &str) -> String {
    let parts = vec![part; count].join(",");
    Layout::parse_pretix("hall", format!("{begin}{parts}{end}").as_bytes()).expect_err(part).to_string()
}

#[test]
fn many_small_things_are_not_read_to_their_end() {
    let zones = |part| refused(r#"{"zones":["#, part, 1_000_000, "]}");
    assert!(zones("{}").contains("more parts than a layout may have"));
    let areas = refused(r#"{"zones":[{"areas":["#, "{}", 500_000, "]}]}");
    assert!(areas.contains("more parts"), "{areas}");
    // Many lists of few count together.
    let rows = zones(r#"{"rows":[{"seats":[]}]}"#);
    assert!(rows.contains("more parts"), "{rows}");
    let list = "[],".repeat(100_000);
    let text = refused(&format!(r#"{{"zones":[{{"areas":[{{"text":{{"x":[{list}[]]}}}}]}},"#), "{}", 1, "]}");
    assert!(text.ends_with("no seats"), "what is passed over is not kept: {text}");
}

#[test]
fn names_are_not_multiplied() {
    let long = zone(&"z".repeat(129), &[row("A", &[seat("1", 0.0, 0.0)])], "");
    let error = Layout::parse_pretix("hall", plan(&[long]).as_bytes()).expect_err("a long name").to_string();
    assert!(error.contains("its name is longer than 128 bytes"), "{error}");
    let error = refused(r#"{"zones":"#, &"[".repeat(100_000), 1, "");
    assert!(error.contains("recursion limit") || error.contains("invalid type"), "{error}");
    let error = refused("{\"", &"q".repeat(1_000_000), 1, "\":1}");
    assert!(error.len() < 2_000, "{}", error.len());
}

#[test]
fn rows_of_one_name_are_named_in_one_go() {
    // Tried one by one these would be 1,250 million names.
    let rows: Vec<String> = (0..50_000).map(|number| row("A", &[seat(&format!("{number}"), 0.0, 0.0)])).collect();
    let layout = parse(&plan(&[zone("Z", &rows, "")]));
    assert_eq!(layout.rows().map(|(_, row, _)| row.to_owned()).nth(49_999).expect("all are there"), "A (50000)");
    let rows = ["A", "A (2)", "A", "A", "A (2)"].map(|name| row(name, &[seat(name, 0.0, 0.0)]));
    let rows: Vec<String> =
        rows.iter().zip(0..).map(|(row, id)| row.replace("seat_guid\":\"", &format!("seat_guid\":\"{id}"))).collect();
    let layout = parse(&plan(&[zone("Z", &rows, "")]));
    let names: Vec<&str> = layout.rows().map(|(_, row, _)| row).collect();
    assert_eq!(names, ["A", "A (2)", "A (3)", "A (4)", "A (2) (2)"]);
}
