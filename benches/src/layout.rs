//! Plans of halls: what it takes to choose four of 50,000 seats next to each other, at every occupancy.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use butaca::layout::Layout;
use butaca::layout::best::BestQuery;
use butaca::layout::hall::{Hall, Mark};

use super::Work;

pub(crate) const WORKS: [&str; 8] = [
    "best_4_of_50000_all_free",
    "best_4_of_50000_half_taken",
    "best_4_of_50000_nine_tenths_taken",
    "best_4_of_50000_only_the_last_free",
    "best_4_of_50000_none_together",
    "best_4_of_50000_in_the_last_section",
    "best_4_of_50000_in_pieces",
    "best_4_of_50000_one_in_two",
];

const SEATS: u32 = 50_000;
const SECTIONS: u32 = 125;
const ROWS: u32 = 20;
const SEATS_OF_ROW: u32 = 20;

/// A stadium of as many sections, each with as many rows; the best row is the nearest to the middle.
fn stadium() -> Arc<Layout> {
    let mut json = r#"{"focal":{"x":0,"y":0},"seats":["#.to_owned();
    for number in 0..SEATS {
        let (row, seat) = (number / SEATS_OF_ROW, number % SEATS_OF_ROW);
        let (section, row) = (row / ROWS, row % ROWS);
        let comma = if number == 0 { "" } else { "," };
        write!(
            json,
            r#"{comma}{{"id":"{section}-{row}-{seat}","section":"{section}","row":"{row}","number":{seat},"category":"c","x":{x},"y":{y}}}"#,
            x = section * 300 + seat * 10,
            y = 100 + row * 10,
        )
        .expect("a String takes everything");
    }
    json.push_str("]}");
    assert_eq!(SECTIONS * ROWS * SEATS_OF_ROW, SEATS, "every seat has a section");
    Arc::new(Layout::parse("stadium", json.as_bytes()).expect("it is a layout"))
}

/// The stadium with the seats taken for which this says so.
fn hall(is_taken: impl Fn(u32) -> bool) -> Hall {
    let mut hall = Hall::new(stadium());
    (0..SEATS).filter(|&seat| is_taken(seat)).for_each(|seat| hall.set(seat, Mark::Booked));
    hall
}

/// A number below 10 for each seat, without any order.
fn tenth(seat: u32) -> u32 {
    (seat.wrapping_mul(2_654_435_761) >> 16) % 10
}

pub(crate) fn prepare(name: &str) -> Work {
    let mut query =
        BestQuery { quantity: 4, sections: Vec::new(), categories: Vec::new(), accessible: 0, adjacent: true };
    let hall = match name {
        "best_4_of_50000_all_free" => hall(|_| false),
        "best_4_of_50000_half_taken" => hall(|seat| tenth(seat) < 5),
        "best_4_of_50000_nine_tenths_taken" => hall(|seat| tenth(seat) < 9),
        "best_4_of_50000_only_the_last_free" => hall(|seat| seat < SEATS - 4),
        "best_4_of_50000_none_together" => hall(|seat| seat % 4 == 3),
        "best_4_of_50000_in_pieces" => {
            query.adjacent = false;
            hall(|seat| seat % 4 == 3)
        }
        "best_4_of_50000_one_in_two" => hall(|seat| seat % 2 == 1),
        "best_4_of_50000_in_the_last_section" => {
            query.sections.push((SECTIONS - 1).to_string().into());
            hall(|seat| tenth(seat) < 5)
        }
        _ => panic!("there is no work {name}"),
    };
    Box::new(move || drop(black_box(hall.best(black_box(&query)))))
}
