//! Texts as members see them: what is found, kept, refused, and how often a text is looked at.

use super::{Member, ObjectReader, Unreadable, Value, tame_numbers};
use crate::limits::{JSON_DEPTH_MAX, JSON_LIST_MAX};

fn read(text: &str) -> Result<[String; 2], Unreadable> {
    let mut reader = ObjectReader::new(usize::MAX);
    let mut bytes = text.as_bytes().to_vec();
    let members = reader.read(&mut bytes, ["a", "b"])?;
    Ok(members.map(|member| match member {
        Member::Missing => "-".to_owned(),
        Member::Text(text) => format!("text {text}"),
        Member::Object(raw) => format!("object {raw}"),
        Member::Other => "other".to_owned(),
    }))
}

fn check(text: &str, a: &str, b: &str) {
    assert_eq!(read(text), Ok([a.to_owned(), b.to_owned()]), "{text}");
}

fn check_refused(text: &str, why: Unreadable) {
    assert_eq!(read(text), Err(why), "{text}");
}

#[test]
fn members_are_found_wherever_they_stand() {
    check("{}", "-", "-");
    check(r#" { "a" : "x" , "b" : { } } "#, "text x", "object { }");
    check(r#"{"z":[1,{"a":"no"},[]],"b":{"a":"no","n":[{}]},"a":""}"#, "text ", r#"object {"a":"no","n":[{}]}"#);
    check(r#"{"b":{"}":"\"}"},"a":"}"}"#, "text }", r#"object {"}":"\"}"}"#);
    check(r#"{"a":null,"b":[{}]}"#, "other", "other");
    check(r#"{"a":1,"b":false,"c":0}"#, "other", "other");
}

#[test]
fn keys_and_texts_are_compared_without_their_escapes() {
    check(r#"{"\u0061":"\u0041\n\"","\u0062":{"\u0061":"\u0041"}}"#, "text A\n\"", r#"object {"\u0061":"\u0041"}"#);
    check(r#"{"a":"\ud83c\udfad"}"#, "text 🎭", "-");
}

#[test]
fn the_last_member_of_a_name_counts() {
    check(r#"{"a":"1","b":{"n":1},"\u0061":2,"b":{"n":3}}"#, "other", r#"object {"n":3}"#);
    check(r#"{"b":{"n":1},"b":"x"}"#, "-", "text x");
}

#[test]
fn numbers_stay_as_they_were_written() {
    let odd = r#"{"n":[1.0,1e400,-0,12345678901234567890123,1E-5,0.1e+9,-1.5],"s":"1e400 \" -9"}"#;
    check(&format!(r#"{{"a":"x1","b":{odd},"c":-1e999}}"#), "text x1", &format!("object {odd}"));
}

#[test]
fn numbers_become_small_and_nothing_moves() {
    let mut text = br#"{"a1":[1e400,-12.5E+3, true,false,null],"-1\"2":"3\\","e":0}"#.to_vec();
    assert_eq!(tame_numbers(&mut text), Some(2));
    let expected = r#"{"a1":[0    ,0       , true,false,null],"-1\"2":"3\\","e":0}"#;
    assert_eq!(String::from_utf8(text).as_deref(), Ok(expected));
    for text in ["01", "-", "1.", "1.e4", "1e", "1e+", "1-1", "--1", "1.5.5", "-01", "{\"a\":1e4e4}", "0-"] {
        assert_eq!(tame_numbers(&mut text.as_bytes().to_vec()), None, "{text}");
    }
}

/// Short and long, what is read and what is refused: a long text is parsed once, a short one twice at most.
#[test]
fn no_text_is_parsed_often() {
    let list = |item: &str| format!(r#"{{"type":"x","a":1e400,"b":[{}0]}}"#, format!("{item},").repeat(10_000));
    let long = format!("1.{}e-300", "2".repeat(20_000));
    for (text, parses) in [
        ("{}".to_owned(), 1),
        ("{".to_owned(), 1),
        (r#"{"a":1e400}"#.to_owned(), 2),
        (r#"{"a":1e400"#.to_owned(), 2),
        (r#"{"a":01}"#.to_owned(), 1),
        (list("1e400"), 1),
        (list("1e400,"), 1),
        (list("[]"), 1),
        (list("01"), 0),
        (list(&format!("\"{}\"", "\\".repeat(6))), 1),
        (format!(r#"{{"a":{long},"b":{long}}}"#), 1),
        (format!("{}1e400", "[".repeat(60_000)), 1),
        ("\"".repeat(60_000), 1),
    ] {
        let mut reader = ObjectReader::new(usize::MAX);
        reader.read(&mut text.clone().into_bytes(), ["a", "b"]).ok();
        assert_eq!(reader.parses, parses, "{}", &text[..text.len().min(60)]);
    }
}

/// What a short text is, it is too when something long stands beside it.
#[test]
fn length_changes_nothing() {
    let pad = format!(r#""z":"{}""#, "\\n x".repeat(600));
    for (text, is_json) in [
        (r#"{"a":1e400,PAD}"#, true),
        (r#"{PAD,"a":[-0,1.5E-7,12345678901234567890123,0.0,{"n":-1e999}]}"#, true),
        (r#"{"a":1.,PAD}"#, false),
        (r#"{"a":12"x",PAD}"#, false),
        (r#"{"a":1e5true,PAD}"#, false),
        (r#"{"a":truee5,PAD}"#, false),
        (r#"{"a":1e5 2,PAD}"#, false),
        (r#"{1e5:2,PAD}"#, false),
        (r#"{\"a":1,PAD}"#, false),
        (r#"{"a":"\x",PAD}"#, false),
        (r#"{PAD,"a":"x}"#, false),
    ] {
        let text = text.replace("PAD", &pad);
        assert_eq!(read(&text).is_ok(), is_json, "{text}");
        assert_eq!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), is_json, "{text}");
    }
}

#[test]
fn what_is_not_json_is_refused() {
    let malformed = r#"|}|{}{}|{} x|{"a":}|{"a" 1}|{"a":1,}|{,}|{'a':1}|{a:1}|{"a":01}|{"a":1.}|{"a":.5}|{"a":+1}
        |{"a":1e}|{"a":-}|{"a":NaN}|{"a":tru}|{"a":truex}|{"a":"\x"}|{"a":"\u12g4"}|{"a":"x}|{"a":[1}|{"a":[1,]}
        |{"b":{"n":1e400,}}|{"a":1/**/}|{"z":1e400 1}|{"z":1e4e4}|{"z":1e400}}|{"b":{"n":1e400|{"b":1-1}|{"b":--1}"#;
    for text in malformed.split('|') {
        check_refused(text, Unreadable::NotJson);
    }
    for text in
        ["\u{feff}{}", "{\"a\":\"\n\"}", "{\"a\":\"\u{1}\"}", "{\"b\":{\"n\":\"\t\"}}", "{\"b\":1e400,\"a\":\"\0\"}"]
    {
        check_refused(text, Unreadable::NotJson);
    }
}

#[test]
fn what_is_json_but_no_object_is_refused() {
    for text in ["[]", "[{}]", "1", "\"{}\"", "null", "1e400"] {
        check_refused(text, Unreadable::NotAnObject);
    }
}

#[test]
fn a_lone_surrogate_is_refused_wherever_it_stands() {
    for text in [
        r#"{"b":{"n":"\ud800"}}"#,
        r#"{"b":{"\udc00":1}}"#,
        r#"{"b":{"n":"\ud800\u0041"}}"#,
        r#"{"b":{"n":"\udfad\ud83c"}}"#,
        r#"{"z":"\ud800","n":1e400}"#,
    ] {
        check_refused(text, Unreadable::LoneSurrogate);
    }
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| format!(r#"{{"z":{}1e400{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1));
    check(&nested(JSON_DEPTH_MAX), "-", "-");
    check_refused(&nested(JSON_DEPTH_MAX + 1), Unreadable::TooDeep);
    check_refused(&"[".repeat(60_000), Unreadable::TooDeep);
    check_refused(&"{\"a\":".repeat(10_000), Unreadable::TooDeep);
}

#[test]
fn a_reader_is_used_again() {
    let mut reader = ObjectReader::new(usize::MAX);
    for round in 0..3 {
        let mut text = format!(r#"{{"a":"{round}","b":{{"n":1e40{round}}}}}"#).into_bytes();
        let [a, b] = reader.read(&mut text, ["a", "b"]).expect("it is an object");
        assert_eq!(a, Member::Text(&round.to_string()));
        assert_eq!(b, Member::Object(&format!(r#"{{"n":1e40{round}}}"#)));
        assert!(reader.read(&mut b"{".to_vec(), ["a", "b"]).is_err());
    }
}

#[test]
fn half_a_character_is_called_by_its_name() {
    let lone = [r#"{"a":"\ud83c"}"#, r#"{"a":"Ana \uDF3D"}"#, r#"{"a":"\ud83c\ud83c\udf3d"}"#];
    lone.into_iter().for_each(|text| check_refused(text, Unreadable::LoneSurrogate));
    for other in [r#"{"a":"\ud83c\udfad"#, r#"{"a":"\\ud83c"#, r#"{"a":"\u+83c"}"#, r#"{"a":"\u12"}"#] {
        check_refused(other, Unreadable::NotJson);
    }
}

#[test]
fn values_are_told_apart() {
    let check = |text: &str, expected: Value<'_>| {
        let mut reader = ObjectReader::new(usize::MAX);
        let mut bytes = format!(r#"{{"x":[1,{{"a":2}}],"a":{text},"z":"\"]"}}"#).into_bytes();
        let [value] = reader.read_values(&mut bytes, ["a"]).expect("it is an object");
        assert_eq!(value, expected, "{text}");
    };
    check(r#""\u0041""#, Value::Text("A"));
    for number in ["0", "-1", "12345678901234567890123", "1e400", "-0.5E+3"] {
        check(number, Value::Number(number));
        check(&format!("{number} "), Value::Number(number));
    }
    check("true", Value::Bool(true));
    check("false", Value::Bool(false));
    check("null", Value::Other);
    check(r#"{ "epoch":"x" }"#, Value::Object(r#"{ "epoch":"x" }"#));
    check("[]", Value::Texts(vec![]));
    check(r#"[ "A1" , "\u0041\"]" ]"#, Value::Texts(vec!["A1", "A\"]"]));
    for other in [r#"["A1",1]"#, "[null]", r#"[["A1"]]"#, "[{}]", r#"["A1",[]]"#] {
        check(other, Value::Other);
    }
    let list = |len: usize| format!("[{}]", vec![r#""s""#; len].join(","));
    check(&list(JSON_LIST_MAX), Value::Texts(vec!["s"; JSON_LIST_MAX]));
    check(&list(JSON_LIST_MAX + 1), Value::LongList);
}

#[test]
fn what_has_too_many_parts_is_not_read() {
    let mut reader = ObjectReader::new(1_500);
    let mut read = |text: String| reader.read(&mut text.into_bytes(), ["a"]).map(|[a]| a == Member::Other);
    assert_eq!(read(format!(r#"{{"a":[{}1]}}"#, "1,".repeat(1_490))), Ok(true));
    assert_eq!(read(format!(r#"{{"a":[{}1]}}"#, "1,".repeat(1_500))), Err(Unreadable::TooMany));
    assert_eq!(read(format!(r#"{{"b":"{}","a":1}}"#, ",".repeat(9_000))), Ok(true), "a text may hold any");
    assert_eq!(read("[".repeat(60_000)), Err(Unreadable::TooMany));
    assert_eq!(reader.parses, 2, "the others are not parsed");
}
