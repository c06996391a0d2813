//! What the shop has decided of rooms: every version of it, and up to which the shop was told.

use std::collections::BTreeMap;

use butaca::engine::command::{ApiTicket, RoomSettings, Sale, SaleAnswer};
use butaca::engine::ids::{RoomId, SeatId};

use super::halls;

/// Nothing: the shop has not made the room, or has deleted it.
type Version = Option<RoomSettings>;

#[derive(Default)]
pub(crate) struct Rooms {
    versions: BTreeMap<RoomId, Vec<Version>>,
    /// Which of them was the last when a request was answered.
    answered: BTreeMap<ApiTicket, (RoomId, usize)>,
    /// Up to which of them the shop has been told.
    told: BTreeMap<RoomId, usize>,
}

impl Rooms {
    fn versions_of(&mut self, room: &RoomId) -> &mut Vec<Version> {
        self.versions.entry(room.clone()).or_insert_with(|| vec![None])
    }

    fn is(&self, room: &RoomId) -> Option<&RoomSettings> {
        self.versions.get(room).and_then(|versions| versions.last()).and_then(Option::as_ref)
    }

    /// The room is so from now on, with these seats taken.
    pub(crate) fn kept<'a>(
        &mut self,
        room: &RoomId,
        settings: Option<&RoomSettings>,
        taken: impl Iterator<Item = &'a SeatId>,
    ) {
        self.versions_of(room).push(settings.cloned());
        for seat in taken {
            self.check_place(room, seat);
        }
    }

    /// It is deleted, whether the shop had made it or not.
    pub(crate) fn deleted(&mut self, room: &RoomId) {
        self.versions_of(room).push(None);
    }

    /// A seat that is taken is one of the room.
    pub(crate) fn check_place(&self, room: &RoomId, seat: &SeatId) {
        let layout = self.is(room).and_then(|settings| settings.layout.as_ref());
        assert!(halls::has(layout, seat), "{room} has no {seat} in {layout:?}");
    }

    /// A seat is taken: by a visitor only while the sale is open.
    pub(crate) fn check_taken(&self, room: &RoomId, seat: &SeatId, by_shop: bool) {
        self.check_place(room, seat);
        let sale = self.is(room).map(|settings| settings.sale);
        let is_shut = matches!(sale, Some(Sale::Paused | Sale::Closed));
        assert!(by_shop || !is_shut, "a visitor takes {seat} of {room}, whose sale is {sale:?}");
    }

    /// The shop is answered about the room as a whole.
    pub(crate) fn answers(&mut self, room: &RoomId, to: ApiTicket, answer: &SaleAnswer) {
        let is = match answer {
            SaleAnswer::Room { room: told, .. } => told.settings.clone(),
            SaleAnswer::Deleted => None,
            _ => return,
        };
        let versions = self.versions_of(room);
        assert_eq!(versions.last(), Some(&is), "a room is told as it is not");
        let last = versions.len() - 1;
        self.answered.insert(to, (room.clone(), last));
    }

    /// It has got the answer.
    pub(crate) fn told(&mut self, to: ApiTicket) {
        if let Some((room, version)) = self.answered.remove(&to) {
            let told = self.told.entry(room).or_default();
            *told = version.max(*told);
        }
    }

    /// After a crash: each room is as the shop was told, or as it became later.
    pub(crate) fn begin_anew(&mut self, found: &BTreeMap<RoomId, RoomSettings>) {
        self.answered.clear();
        let was = std::mem::take(&mut self.versions);
        self.versions = found.iter().map(|(room, settings)| (room.clone(), vec![Some(settings.clone())])).collect();
        for (room, first) in &mut self.told {
            let is = found.get(room);
            // A sale that was to open may have opened meanwhile.
            let has_opened = |of: &RoomSettings| {
                matches!(of.sale, Sale::Scheduled { .. })
                    && is == Some(&RoomSettings { sale: Sale::Open, ..of.clone() })
            };
            let may_be = |of: &Version| of.as_ref() == is || of.as_ref().is_some_and(has_opened);
            let since = &was[room][std::mem::take(first)..];
            assert!(since.iter().any(may_be), "{room} is {is:?} after a crash, and was told as {since:?}");
            // What has become of it while no server looked, nobody has been told.
            self.versions.insert(room.clone(), vec![since[0].clone(), is.cloned()]);
        }
    }
}
