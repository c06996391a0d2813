//! A hall as a picture: one cell a seat, the darker the more often it was wanted.
//!
//! Invariant: cells of one level are one SVG path, so that 50,000 seats stay a small page.

use crate::names::{Hall, Seat};

/// Levels of colour above "never".
const LEVELS: usize = 8;
/// Cells between two blocks.
const AISLE: u32 = 2;

/// A picture and the largest count in it; `None` when nothing was counted.
pub(super) fn picture(hall: Hall, counts: &[u32], hue: &str) -> Option<(String, u32)> {
    let most = counts.iter().copied().max().filter(|most| *most > 0)?;
    let across = blocks_across(hall);
    let down = hall.blocks.div_ceil(across);
    let (width, height) = (across * (hall.row_seats + AISLE) - AISLE, down * (hall.rows + AISLE) - AISLE);
    let least = counts.iter().copied().filter(|count| *count > 0).min().unwrap_or(most);
    let mut paths = vec![String::new(); LEVELS + 1];
    for (seat, count) in (0..).zip(counts) {
        let (x, y) = cell(hall, across, seat);
        paths[level(*count, least, most)].push_str(&format!("M{x} {y}h.9v.9h-.9z"));
    }
    let mut svg = format!("<svg viewBox=\"0 0 {width} {height}\" role=\"img\" class=\"heat {hue}\">");
    for (level, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        svg.push_str(&format!("<path class=\"l{level}\" d=\"{path}\"/>"));
    }
    svg.push_str("</svg>");
    Some((svg, most))
}

/// As many blocks side by side as make the picture about twice as wide as high.
fn blocks_across(hall: Hall) -> u32 {
    let (block_width, block_height) = (f64::from(hall.row_seats + AISLE), f64::from(hall.rows + AISLE));
    let across = (2.0 * f64::from(hall.blocks) * block_height / block_width).sqrt();
    u32::try_from(crate::num::whole(across.round())).expect("halls are small").clamp(1, hall.blocks)
}

fn cell(hall: Hall, across: u32, seat: Seat) -> (u32, u32) {
    let (block, row, place) = hall.place(seat);
    (block % across * (hall.row_seats + AISLE) + place, block / across * (hall.rows + AISLE) + row)
}

/// By the logarithm between the least and the most wanted seat: a sale has a few seats that hundreds want and many that
/// one wants. Level 0 is for seats that nobody wanted.
fn level(count: u32, least: u32, most: u32) -> usize {
    if count == 0 {
        return 0;
    }
    let place = |count: u32| f64::from(count).ln();
    let share = (place(count) - place(least)) / (place(most) - place(least)).max(f64::MIN_POSITIVE);
    let level = crate::num::whole((share * (LEVELS - 1) as f64).round()) + 1;
    usize::try_from(level).expect("a handful of levels").min(LEVELS)
}

#[cfg(test)]
mod tests {
    use super::picture;
    use crate::names::Hall;

    #[test]
    fn every_seat_has_its_cell() {
        let hall = Hall { blocks: 4, rows: 3, row_seats: 5 };
        let mut counts = vec![0; 60];
        (counts[0], counts[59]) = (1, 100);
        let (svg, most) = picture(hall, &counts, "warm").expect("something was counted");
        assert_eq!((svg.matches('M').count(), most), (60, 100));
        assert!(picture(hall, &[0; 60], "warm").is_none());
    }
}
