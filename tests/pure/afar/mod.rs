//! Letters to other nodes: what is written is read, and stays readable; what is none is refused.

mod errands;
mod samples;

use std::fmt::Write as _;
use std::sync::Arc;

use butaca::audience::budget::{Budget, Kind};
use butaca::audience::full_states::Captured;
use butaca::cluster::entry;
use butaca::engine::command::{Change, ChangeKind, RoomNews, SaleRequest};
use butaca::engine::ids::{Origin, ShardId, ShardSet};
use butaca::layout::catalog::Catalog;
use butaca::limits::cluster::{LETTER_BYTES_MAX, PIECE_BYTES, STATES_SHARED_MAX};
use butaca::node::afar::{Malformed, Reader, Stretch, Writer};
use butaca::node::errand::{Answered, Asked};
use butaca::node::letters::{Letter, News};
use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
use proptest::sample::Index;
use samples::{OWN, STRANGERS, THEIRS};

/// What the reader calls the writer's first shard.
const WRITER_AT: usize = 20;

fn writer() -> Writer {
    Writer::new(2, Stretch::new(5, 3))
}

fn reader() -> Reader {
    Reader::new(3, Stretch::new(WRITER_AT, 2), &Budget::default()).with_layouts(errands::layouts())
}

fn written(letter: &Letter) -> Vec<entry::Letter> {
    let mut out = Vec::new();
    assert!(writer().write(ShardId::new(usize::from(THEIRS)), letter, &mut out), "{letter:?}");
    out
}

fn read(reader: &mut Reader, letters: &[entry::Letter]) -> Vec<(ShardId, Letter)> {
    let bare = |(to, letter)| match letter {
        Letter::From { by, letter } if by.contains(ShardId::new(WRITER_AT)) => (to, *letter),
        letter => (to, letter),
    };
    letters.iter().filter_map(|letter| reader.read(letter).expect("a letter").map(bare)).collect()
}

/// The connections of a letter as its reader calls them.
fn as_read(text: &str) -> String {
    text.replace(&format!("conn {OWN}."), &format!("conn {}.", WRITER_AT + usize::from(OWN)))
        .replace(&format!("conn {THEIRS}."), "conn 1.")
}

/// A letter as text, but for what does not travel.
fn text(letter: &Letter) -> String {
    let travels = |change: &Arc<Change>| {
        let mut change = Change { audience: ShardSet::EMPTY, ..(**change).clone() };
        if let ChangeKind::Selected { origin, claim, .. } = &mut change.kind {
            (*origin, *claim) = (Origin::UNKNOWN, None);
        }
        Arc::new(change)
    };
    match letter {
        Letter::News(news) => {
            let changes = news.changes.iter().map(travels).collect();
            format!("{:?}", Letter::News(Box::new(News { room: news.room.clone(), changes })))
        }
        Letter::Room(news) => format!("{:?}", RoomNews { audience: ShardSet::EMPTY, ..(**news).clone() }),
        Letter::Answer { to, effect, captured } => {
            let captured = captured.as_ref().map(|Captured { seq, state, since, is_deferred }| {
                (seq, state.as_ref().map(|state| state.bytes().to_vec()), since, is_deferred)
            });
            format!("{to:?} {effect:?} {captured:?}")
        }
        Letter::From { letter, .. } => text(letter),
        Letter::Errand(errand) => format!("{:?} {:?}", errand.number, errand.asked),
        Letter::Done(done) => match &done.answered {
            Answered::Selections { body } => format!("{:?} {:?}", done.number, body.bytes()),
            answered => format!("{:?} {answered:?}", done.number),
        },
        other => format!("{other:?}"),
    }
}

#[test]
fn what_is_written_is_read() {
    for (name, letter) in samples::all() {
        let mut found = read(&mut reader(), &written(&letter));
        let (to, same) = found.pop().expect("one letter");
        assert!(found.is_empty() && to == ShardId::new(1), "{name} goes to {to:?}");
        assert_eq!(text(&same), as_read(&text(&letter)), "{name}");
    }
}

#[test]
fn a_session_arrives_though_nobody_prints_it() {
    let identity = |letter: &Letter| match letter {
        Letter::Command(command) => command.identity.clone(),
        _ => None,
    };
    let letters = samples::all();
    let found = letters.iter().find(|(name, _)| *name == "cart_sync").expect("it is there");
    let (_, same) = read(&mut reader(), &written(&found.1)).remove(0);
    assert!(identity(&same).is_some() && identity(&same) == identity(&found.1));
}

const GOLDEN: &str = include_str!("golden.txt");

/// What version 1 has written once: it stays readable, and a node of version 1 goes on writing it.
#[test]
fn letters_stay_what_they_were() {
    let mut lines = String::new();
    for (name, letter) in samples::all() {
        for entry::Letter { kind, bytes } in written(&letter) {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(lines, "{name} {kind} {hex}").expect("a text can be written");
        }
    }
    assert_eq!(lines, GOLDEN, "a letter has changed: it needs another version of the entry");
}

/// One that has got the full states of all of them.
fn fed() -> Reader {
    let mut reader = reader();
    let states: Vec<_> = golden().into_iter().filter(|letter| letter.kind == 64).collect();
    assert!(read(&mut reader, &states).is_empty());
    reader
}

fn golden() -> Vec<entry::Letter> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("a byte");
    let letter = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let kind = words.next()?.parse().ok()?;
        Some(entry::Letter { kind, bytes: words.next()?.as_bytes().chunks(2).map(byte).collect() })
    };
    GOLDEN.lines().map(|line| letter(line).expect("a line is a letter")).collect()
}

#[test]
fn letters_of_then_are_read() {
    let found = read(&mut reader(), &golden());
    let expected: Vec<String> = samples::all().iter().map(|(_, letter)| as_read(&text(letter))).collect();
    assert_eq!(found.iter().map(|(_, letter)| text(letter)).collect::<Vec<_>>(), expected);
}

#[test]
fn every_truncated_letter_is_malformed() {
    for letter in golden().into_iter().filter(|letter| letter.kind < 64) {
        for end in 0..letter.bytes.len() {
            let cut = entry::Letter { kind: letter.kind, bytes: letter.bytes[..end].to_vec() };
            assert!(fed().read(&cut).is_err(), "{letter:?} without its end behind {end}");
        }
        let long = entry::Letter { kind: letter.kind, bytes: [&letter.bytes[..], b"x"].concat() };
        assert_eq!(fed().read(&long).map(|_| ()), Err(Malformed::Length), "{letter:?}");
    }
}

#[test]
fn connections_of_a_third_node_are_nobody() {
    let change = samples::selected(Some(samples::conn(STRANGERS)));
    let news = News { room: samples::room(), changes: vec![Arc::new(change)] };
    let found = read(&mut reader(), &written(&Letter::News(Box::new(news))));
    let [(_, Letter::News(news))] = &found[..] else { panic!("{found:?}") };
    assert_eq!((news.changes[0].actor, news.changes[0].answers), (None, None));

    let refused = |letter: Letter| {
        let bytes = written(&letter);
        bytes.iter().find_map(|letter| reader().read(letter).err())
    };
    for strange in [STRANGERS, THEIRS] {
        assert_eq!(refused(Letter::Gone { conn: samples::conn(strange) }), Some(Malformed::Address));
    }
    // An answer to one that is not on the shard that gets it.
    for strange in [STRANGERS, OWN, THEIRS - 1] {
        let letter = Letter::NotMine { conn: samples::conn(strange), ticket: Default::default() };
        assert_eq!(refused(letter), Some(Malformed::Address));
    }
}

/// A layout that the reader does not know yet is none: the owner of the room refuses it.
#[test]
fn an_unknown_layout_is_none() {
    let put = |letter: &Letter| match letter {
        Letter::Errand(errand) => match &errand.asked {
            Asked::Sale { request, .. } => match &**request {
                SaleRequest::PutRoom { settings, plan } => (settings.layout.is_some(), plan.is_some()),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    let letters = samples::all();
    let (_, letter) = letters.iter().find(|(name, _)| *name == "ask_put").expect("it is there");
    let bytes = written(letter);
    assert_eq!(put(&read(&mut reader(), &bytes)[0].1), (true, true));
    let mut unknowing = reader().with_layouts(Catalog::default());
    assert_eq!(put(&read(&mut unknowing, &bytes)[0].1), (true, false));
}

#[test]
fn a_letter_for_another_life_is_refused() {
    let letters = written(&Letter::Gone { conn: samples::conn(OWN) });
    let others = [
        Reader::new(2, Stretch::new(WRITER_AT, 2), &Budget::default()),
        Reader::new(3, Stretch::new(WRITER_AT, 3), &Budget::default()),
    ];
    for mut other in others {
        assert_eq!(other.read(&letters[0]).map(|_| ()), Err(Malformed::Address));
    }
}

#[test]
fn a_full_state_travels_once_a_turn() {
    let (mut writer, mut out, to) = (writer(), Vec::new(), ShardId::new(usize::from(THEIRS)));
    let budget = Budget::default();
    let mut reader = Reader::new(3, Stretch::new(WRITER_AT, 2), &budget);
    let state = samples::state(&[b's'; 1_000]);
    let joined = samples::joined(Some(Captured::now(5, Some(state))));
    for turn in 1..=2 {
        out.clear();
        (0..10).for_each(|_| assert!(writer.write(to, &joined, &mut out)));
        writer.finish(&mut out);
        assert_eq!(out.iter().filter(|letter| letter.bytes.len() >= 1_000).count(), 1, "turn {turn}");
        let found = read(&mut reader, &out);
        assert_eq!((found.len(), budget.used(Kind::FullStates)), (10, 1_000));
        let is_told = |letter: &Letter| text(letter) == as_read(&text(&joined));
        assert!(found.iter().all(|(_, letter)| is_told(letter)));
        drop(found);
        assert_eq!(budget.used(Kind::FullStates), 0, "nothing is kept");
    }
    out.clear();
    writer.finish(&mut out);
    assert!(out.is_empty(), "a turn without full states");
}

#[test]
fn several_states_of_a_turn_are_told_apart() {
    let (mut writer, mut reader, to) = (writer(), reader(), ShardId::new(usize::from(THEIRS)));
    let states: Vec<_> = (0..STATES_SHARED_MAX + 3).map(|at| samples::state(at.to_string().as_bytes())).collect();
    let twice = states.iter().chain(&states).map(|state| Captured::now(5, Some(Arc::clone(state))));
    let letters: Vec<_> = twice.map(|captured| samples::joined(Some(captured))).collect();
    let mut out = Vec::new();
    letters.iter().for_each(|letter| assert!(writer.write(to, letter, &mut out)));
    let found = read(&mut reader, &out);
    let texts: Vec<_> = letters.iter().map(|letter| as_read(&text(letter))).collect();
    assert_eq!(found.iter().map(|(_, letter)| text(letter)).collect::<Vec<_>>(), texts);
}

#[test]
fn a_state_that_was_lost_is_waited_for() {
    let letters = written(&samples::joined(Some(Captured::now(5, Some(samples::state(b"full"))))));
    let [_, answer] = &letters[..] else { panic!("{letters:?}") };
    let found = read(&mut reader(), std::slice::from_ref(answer));
    let [(_, Letter::Answer { captured: Some(captured), .. })] = &found[..] else { panic!("{found:?}") };
    assert!(captured.is_deferred && captured.state.is_none() && captured.seq == 5);
}

#[test]
fn a_long_letter_goes_in_pieces() {
    let long: Vec<u8> = (0..PIECE_BYTES * 3 + 1).map(|at| u8::try_from(at % 251).expect("a byte")).collect();
    let letter = samples::joined(Some(Captured::now(5, Some(samples::state(&long)))));
    let letters = written(&letter);
    assert!(letters.len() == 5 && letters.iter().all(|letter| letter.size() <= PIECE_BYTES + 16), "{}", letters.len());
    let mut reader = reader();
    let found = read(&mut reader, &letters);
    assert_eq!(text(&found[0].1), as_read(&text(&letter)));

    // A hole: what is half there is not taken for whole.
    assert!(read(&mut reader, &letters[..2]).is_empty());
    reader.hole();
    let found = read(&mut reader, &letters[2..]);
    let [(_, Letter::Answer { captured: Some(captured), .. })] = &found[..] else { panic!("{found:?}") };
    assert!(captured.is_deferred);
}

#[test]
fn a_state_that_is_too_long_is_not_written() {
    let letter = samples::joined(Some(Captured::now(5, Some(samples::state(&vec![b'x'; LETTER_BYTES_MAX / 2 + 1])))));
    let found = read(&mut reader(), &written(&letter));
    let [(_, Letter::Answer { captured: Some(captured), .. })] = &found[..] else { panic!("{found:?}") };
    assert!(captured.is_deferred);
}

#[test]
fn pieces_are_bounded() {
    let (mut reader, piece) = (reader(), |place: u8| {
        let bytes = [&[place][..], &vec![b'x'; PIECE_BYTES]].concat();
        entry::Letter { kind: 66, bytes }
    });
    assert_eq!(reader.read(&piece(0)).map(|_| ()), Ok(()));
    let refused = (0..=LETTER_BYTES_MAX / PIECE_BYTES).find_map(|_| reader.read(&piece(1)).err());
    assert_eq!(refused, Some(Malformed::TooLong));
    assert_eq!(reader.read(&piece(2)).map(|found| found.is_none()), Ok(true), "its end belongs to nothing");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever comes, it is a letter or malformed, and what is a letter is written as it was.
    #[test]
    fn any_bytes_are_a_letter_or_malformed(kind in any::<u8>(), bytes in any::<Vec<u8>>()) {
        let mut reader = reader();
        drop(reader.read(&entry::Letter { kind, bytes: bytes.clone() }));
        drop(reader.read(&entry::Letter { kind: kind % 16, bytes: [&[THEIRS, 2, 5, 3][..], &bytes].concat() }));
    }

    /// The same for letters of which a few bytes have changed.
    #[test]
    fn a_damaged_letter_is_a_letter_or_malformed(
        which in any::<Index>(),
        damage in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..4),
    ) {
        let mut letter = golden().swap_remove(which.index(golden().len()));
        for (at, to) in damage {
            let at = at.index(letter.bytes.len().max(1));
            if let Some(byte) = letter.bytes.get_mut(at) {
                *byte = to;
            }
        }
        if let Ok(Some((_, read))) = reader().read(&letter) {
            let again = text(&read);
            prop_assert_eq!(again.is_empty(), false);
        }
    }
}
