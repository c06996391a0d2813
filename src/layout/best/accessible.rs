//! A group with wheelchairs or the like: so many accessible seats, the seats of their companions, and the others.
//!
//! Companions come first among the others, as far as the group goes. Accessible seats beyond those asked for, and seats
//! of companions of a seat that is not given, are spared while anything else is left. So windows are of eight classes:
//! with all companions, sparing, nobody left alone; the same with somebody left alone; then with all companions but not
//! sparing; then with those whose seats are free, the others being taken; then without some, each as before.
//!
//! In pieces, what counts is who has all companions: where accessible seats near each other lack them, others further
//! apart are given, each with its own.
//!
//! Invariant: at least so many accessible seats are given, or none. Never here: groups without.

use super::{BestRefusal, Field, number, pieces, without_special};
use crate::layout::search::{Starts, off_middle};
use crate::layout::{Layout, bits};

/// Seats for a group of `quantity` of whom `accessible` need an accessible one, among at least `quantity` usable ones.
///
/// # Errors
/// There are not enough accessible ones, or not next to the others.
pub(super) fn choose(
    all: Field<'_>,
    quantity: usize,
    accessible: usize,
    adjacent: bool,
) -> Result<Vec<usize>, BestRefusal> {
    let usable = all.usable.unwrap_or(all.free);
    let free: u32 = usable.iter().zip(&all.layout.accessible).map(|(&a, &b)| (a & b).count_ones()).sum();
    if (free as usize) < accessible {
        return Err(BestRefusal::NotEnough { free });
    }
    if let Some(start) = window(all, quantity, accessible) {
        return Ok((start..start + quantity).collect());
    }
    if adjacent {
        let lengths =
            all.stretches().filter(|&(start, length)| count(&all.layout.accessible, start, length) >= accessible);
        let longest = lengths.map(|(start, length)| largest(all.layout, start, length, quantity, accessible)).max();
        return Err(BestRefusal::NotAdjacent { largest: number(longest.unwrap_or(0)) });
    }
    Ok(in_pieces(all, quantity, accessible))
}

/// The most of the group that this stretch, with enough accessible seats, has room for.
fn largest(layout: &Layout, start: usize, length: usize, quantity: usize, accessible: usize) -> usize {
    if length < quantity { length } else { narrowest(layout, start, length, accessible).map_or(0, |_| quantity - 1) }
}

/// The least number of neighbours in this stretch with so many accessible seats among them, and where they begin.
fn narrowest(layout: &Layout, start: usize, length: usize, accessible: usize) -> Option<(usize, usize)> {
    let places: Vec<usize> = (start..start + length).filter(|&place| bits::has(&layout.accessible, place)).collect();
    let spans = places.windows(accessible).map(|span| (span[accessible - 1] + 1 - span[0], span[0]));
    spans.min()
}

fn count(set: &[u64], start: usize, length: usize) -> usize {
    (start..start + length).filter(|&place| bits::has(set, place)).count()
}

/// The best window with so many accessible seats.
fn window(all: Field<'_>, size: usize, accessible: usize) -> Option<usize> {
    let mut best: Option<((u8, u32, usize), usize)> = None;
    for at in 0..all.words() {
        let Starts { good, any } = all.starts(size, at);
        for bit in bits::ones(any) {
            let start = at * 64 + bit;
            let Some(class) = class(all, start, size, accessible) else { continue };
            let row = all.layout.order.at(start);
            let off = off_middle(row.start as usize, row.end as usize, size, start);
            let rank = (2 * class + u8::from(good >> bit & 1 == 0), row.start, off);
            if best.is_none_or(|(best, _)| rank < best) {
                best = Some((rank, start));
            }
        }
    }
    best.map(|(_, start)| start)
}

/// 0: with all companions and sparing; 1: with all companions; 2: with all of them that are free; 3: without some;
/// `None`: not enough are accessible.
fn class(all: Field<'_>, start: usize, size: usize, accessible: usize) -> Option<u8> {
    let layout = all.layout;
    let here = extract(&layout.accessible, start, size);
    let has = here.count_ones() as usize;
    if has < accessible {
        return None;
    }
    let special = extract(&layout.special, start, size);
    let (mut known, mut free, mut given) = (0_usize, 0_usize, 0_u64);
    for place in bits::ones(here).map(|bit| start + bit) {
        for companion in companions(layout, place) {
            let is_here = (start..start + size).contains(&companion);
            if is_here {
                given |= 1 << (companion - start);
            }
            known += 1;
            free += usize::from(is_here || bits::has(all.usable.unwrap_or(all.free), companion));
        }
    }
    // A companion's seat may be accessible as well, and counts as that.
    let companions_given = (given & !here).count_ones() as usize;
    let room = size - has;
    if companions_given < known.min(room) {
        return Some(2 + u8::from(companions_given < free.min(room)));
    }
    let is_sparing = has == accessible && special & !here & !given == 0;
    Some(u8::from(!is_sparing))
}

/// The places of the companions of the seat at `place`.
fn companions(layout: &Layout, place: usize) -> impl Iterator<Item = usize> {
    let from = layout.companions.partition_point(|&(of, _)| (of as usize) < place);
    let own = layout.companions[from..].iter().take_while(move |&&(of, _)| of as usize == place);
    own.map(|&(_, companion)| companion as usize)
}

/// `size` bits of a set from `start`.
fn extract(set: &[u64], start: usize, size: usize) -> u64 {
    let (at, shift) = (start / 64, start % 64);
    let low = bits::word(set, at) >> shift;
    let high = if shift == 0 { 0 } else { bits::word(set, at + 1) << (64 - shift) };
    (low | high) & (u64::MAX >> (64 - size))
}

/// In pieces: near each other, or, where that gives more of them their companions, each with its own.
fn in_pieces(all: Field<'_>, quantity: usize, accessible: usize) -> Vec<usize> {
    let near = near_each_other(all, quantity, accessible);
    if accompanied(all.layout, &near) >= accessible {
        return near;
    }
    match each_with_its_own(all, quantity, accessible) {
        Some(places) if accompanied(all.layout, &places) > accompanied(all.layout, &near) => places,
        _ => near,
    }
}

/// How many accessible seats are among these with all their companions.
fn accompanied(layout: &Layout, places: &[usize]) -> usize {
    let has_all = |place: &usize| companions(layout, *place).all(|companion| places.contains(&companion));
    places.iter().filter(|place| bits::has(&layout.accessible, **place)).filter(|place| has_all(place)).count()
}

/// So many accessible seats, the best ones of which all companions can be had, with these; then the others. Nothing
/// when there are not so many, or they are more than the group.
fn each_with_its_own(all: Field<'_>, quantity: usize, accessible: usize) -> Option<Vec<usize>> {
    let mut usable: Box<[u64]> = all.usable.unwrap_or(all.free).into();
    let mut free: Box<[u64]> = all.free.into();
    let (mut places, mut given) = (Vec::with_capacity(quantity), 0);
    for place in bits::iter(&all.layout.accessible) {
        let own: Vec<usize> = std::iter::once(place).chain(companions(all.layout, place)).collect();
        // Those who still need an accessible seat need a place as well.
        let room = quantity - places.len() - (accessible - given - 1);
        if own.len() <= room && own.iter().all(|&place| bits::has(&usable, place)) {
            take(&mut usable, &mut free, &own);
            places.extend(own);
            given += 1;
        }
        if given == accessible {
            break;
        }
    }
    if given < accessible {
        return None;
    }
    if places.len() < quantity {
        let left = Field { usable: Some(&usable), free: &free, ..all };
        places.extend(others(left, quantity - places.len()));
    }
    places.sort_unstable();
    Some(places)
}

fn take(usable: &mut [u64], free: &mut [u64], places: &[usize]) {
    for &place in places {
        bits::take(usable, place);
        bits::take(free, place);
    }
}

/// The companions of these, wherever their seats are, as many as there is room for.
fn missing_companions(left: Field<'_>, given: &[usize], room: usize) -> Vec<usize> {
    let all = given.iter().filter(|&&place| bits::has(&left.layout.accessible, place));
    let mut missing: Vec<usize> = all.flat_map(|&place| companions(left.layout, place)).collect();
    missing.sort_unstable();
    missing.dedup();
    missing.retain(|&place| bits::has(left.usable.unwrap_or(left.free), place));
    missing.truncate(room);
    missing
}

/// A piece with as many of the accessible seats as fit one, and so on; then their companions, then the others.
fn near_each_other(all: Field<'_>, quantity: usize, accessible: usize) -> Vec<usize> {
    let mut usable: Box<[u64]> = all.usable.unwrap_or(all.free).into();
    let mut free: Box<[u64]> = all.free.into();
    let mut places = Vec::with_capacity(quantity);
    let mut wanted = accessible;
    while places.len() < quantity {
        let rest = quantity - places.len();
        let left = Field { usable: Some(&usable), free: &free, ..all };
        let piece = if wanted == 0 {
            match missing_companions(left, &places, rest) {
                missing if missing.is_empty() => others(left, rest),
                missing => missing,
            }
        } else {
            let (size, has) = piece(left, rest, wanted);
            wanted -= has;
            let start = window(left, size, has).expect("a stretch has room for it");
            (start..start + size).collect()
        };
        take(&mut usable, &mut free, &piece);
        places.extend(piece);
    }
    places.sort_unstable();
    places
}

/// How large the next piece can be, and how many of the accessible seats wanted are in it: as many as can be, then as
/// large as can be. The rest of the group is not left as one person if that can be helped.
fn piece(left: Field<'_>, rest: usize, wanted: usize) -> (usize, usize) {
    let mut best = (0, 0);
    for (start, length) in left.stretches() {
        let in_stretch = count(&left.layout.accessible, start, length).min(wanted);
        for has in (1..=in_stretch).rev() {
            // Those who still need an accessible seat need a place as well.
            let room = length.min(rest - (wanted - has));
            let Some((span, _)) = narrowest(left.layout, start, length, has) else { continue };
            if span <= room {
                let size = if rest - room == 1 && room > span.max(2) { room - 1 } else { room };
                best = best.max((has, size));
                break;
            }
        }
    }
    assert!(best.0 > 0, "as many accessible seats are usable as wanted");
    (best.1, best.0)
}

/// Those who need no accessible seat, when the others have theirs.
fn others(left: Field<'_>, rest: usize) -> Vec<usize> {
    let spared = without_special(left);
    let ordinary = Field { usable: Some(&spared), ..left };
    let field = if ordinary.count() as usize >= rest { ordinary } else { left };
    match field.window(rest) {
        Some(start) => (start..start + rest).collect(),
        None => pieces::choose(field, rest),
    }
}

#[cfg(test)]
mod tests;
