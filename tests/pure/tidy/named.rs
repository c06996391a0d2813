//! Tests that a document names are there.

/// The findings that nobody has given: numbers that were never used.
const UNUSED: [&str; 6] = ["F12", "F15", "F17", "F20", "F22", "F24"];

/// What stands between backquotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn every_finding_has_a_test_of_the_name_that_is_told() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| {
        std::fs::read_to_string(root.join(path))
            .unwrap_or_else(|error| panic!("{path} is named and not there: {error}"))
    };
    let document = read("docs/SECURITY-TESTS.md");
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for row in document.lines().filter(|line| line.starts_with("| S") || line.starts_with("| F")) {
        let mut cells = row.trim_matches(['|', ' ']).split(" | ");
        let (number, held) = (cells.next().expect("a number"), cells.last().expect("tests"));
        found.push(number.to_owned());
        let (mut text, mut names) = (String::new(), 0);
        for word in quoted(held) {
            if root.join(word).is_file() {
                text = read(word);
            } else {
                names += 1;
                missing.extend((!text.contains(word)).then(|| format!("{number}: {word}")));
            }
        }
        assert!(names > 0, "{row}");
    }
    let all = (1..=24).map(|number| format!("S{number}")).chain((1..=30).map(|number| format!("F{number}")));
    let expected: Vec<String> = all.filter(|number| !UNUSED.contains(&number.as_str())).collect();
    assert_eq!(found, expected);
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Every code of a refusal is in the description of the protocol and explained in a guide of each language.
#[test]
fn every_code_is_documented() {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_else(|why| panic!("{path}: {why}"));
    let guides: [&[&str]; 3] = [
        &["docs/asyncapi-v2.yaml"],
        &["docs/WEBSOCKET_GUIDE.md", "docs/CARTS.md"],
        &["docs/es/GUIA_WEBSOCKET.md", "docs/es/CARRITOS.md"],
    ];
    for of in guides {
        let text: String = of.iter().map(|path| read(path)).collect();
        let is_word =
            |name: &str| text.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()).any(|word| word == name);
        let missing: Vec<&str> =
            butaca::wire::code::CODES.iter().map(|code| code.1).filter(|name| !is_word(name)).collect();
        assert!(missing.is_empty(), "{of:?} do not name {missing:?}");
    }
}

/// The table of the contract names modules of the tests and the beginnings of their functions.
#[test]
fn every_line_of_the_contract_has_a_test_of_the_name_that_is_told() {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let table = std::fs::read_to_string(tests.join("server/contract.rs")).expect("the contract");
    let mut missing = Vec::new();
    let rows = table.lines().filter(|line| line.starts_with("//! | "));
    for name in rows.filter_map(|row| row.trim_end_matches([' ', '|']).rsplit(" | ").next()).flat_map(quoted) {
        let path = name.replace("::", "/");
        let (file, function) = path.rsplit_once('/').unwrap_or((&path, ""));
        let places = ["server/contract", "server", "."].map(|place| tests.join(place));
        let read = |file: &str| {
            let found = places.iter().filter_map(|place| std::fs::read_to_string(place.join(file)).ok());
            found.collect::<String>()
        };
        let is_module = !read(&format!("{path}.rs")).is_empty();
        let begins = format!("fn {}", function.trim_end_matches(['…', '*']));
        let is_function = path.contains('/') && read(&format!("{file}.rs")).contains(&begins);
        missing.extend((!is_module && !is_function).then(|| name.to_owned()));
    }
    assert!(missing.is_empty(), "{missing:?}");
}
