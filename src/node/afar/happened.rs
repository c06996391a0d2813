//! Changes, news of rooms and answers as bytes, and full states, which several answers share.
//!
//! What a store alone needs of a change (where a holder comes from, by what right a seat is somebody's) does not
//! travel, nor who else is told: a reader has an empty audience there. Never here: what they mean.

use std::sync::Arc;

use super::Malformed;
use super::bytes::{Afar, Paper, Pen};
use super::route::take_conn;
use crate::audience::full_states::Captured;
use crate::audience::shared::Shared;
use crate::engine::command::{Change, ChangeKind, Effect, RoomNews, SeatStatus};
use crate::engine::ids::{ConnId, Origin, RoomId, ShardSet};
use crate::node::letters::News;

impl Afar for News {
    fn put(&self, pen: &mut Pen<'_>) {
        let Self { room, changes } = self;
        room.put(pen);
        u32::try_from(changes.len()).expect("a letter is bounded").put(pen);
        changes.iter().for_each(|change| put_change(change, pen));
    }
    fn take(from: &mut Paper<'_>) -> Result<Self, Malformed> {
        let room = RoomId::take(from)?;
        let count = u32::take(from)?;
        // The list grows as they are found.
        let changes = (0..count).map(|_| take_change(&room, from).map(Arc::new)).collect::<Result<_, _>>()?;
        Ok(Self { room, changes })
    }
}

fn put_change(change: &Change, pen: &mut Pen<'_>) {
    let Change { room: _, seat, index, client, seq, epoch, actor, answers, held, audience: _, kind } = change;
    seat.put(pen);
    index.put(pen);
    client.put(pen);
    seq.put(pen);
    epoch.put(pen);
    actor.put(pen);
    answers.put(pen);
    held.put(pen);
    match kind {
        ChangeKind::Selected { status, was, at, expires_at, user_info, origin: _, claim: _ } => {
            status.put(pen);
            was.put(pen);
            at.put(pen);
            expires_at.put(pen);
            user_info.put(pen);
        }
        ChangeKind::Released { reason } => {
            SeatStatus::Free.put(pen);
            reason.put(pen);
        }
    }
}

fn take_change(room: &RoomId, from: &mut Paper<'_>) -> Result<Change, Malformed> {
    let (seat, index, client) = (Afar::take(from)?, Afar::take(from)?, Afar::take(from)?);
    let (seq, epoch) = (Afar::take(from)?, Afar::take(from)?);
    let actor = bool::take(from)?.then(|| take_conn(from)).transpose()?.flatten();
    let answers = Afar::take(from)?;
    let answers = actor.and(answers);
    let held = Afar::take(from)?;
    let kind = match SeatStatus::take(from)? {
        SeatStatus::Free => ChangeKind::Released { reason: Afar::take(from)? },
        status @ (SeatStatus::Held | SeatStatus::Checkout | SeatStatus::Booked | SeatStatus::Blocked) => {
            ChangeKind::Selected {
                status,
                was: Afar::take(from)?,
                at: Afar::take(from)?,
                expires_at: Afar::take(from)?,
                user_info: Afar::take(from)?,
                origin: Origin::UNKNOWN,
                claim: None,
            }
        }
    };
    let room = room.clone();
    Ok(Change { room, seat, index, client, seq, epoch, actor, answers, held, audience: ShardSet::EMPTY, kind })
}

impl Afar for RoomNews {
    fn put(&self, pen: &mut Pen<'_>) {
        let Self { room, audience: _, what } = self;
        room.put(pen);
        what.put(pen);
    }
    fn take(from: &mut Paper<'_>) -> Result<Self, Malformed> {
        Ok(Self { room: Afar::take(from)?, audience: ShardSet::EMPTY, what: Afar::take(from)? })
    }
}

/// Whether it answers a connection, so that it may travel.
pub(super) fn is_answer(effect: &Effect) -> bool {
    told(effect).is_some()
}

/// Whom it answers.
fn told(effect: &Effect) -> Option<ConnId> {
    match effect {
        Effect::Joined { to, .. } | Effect::Left { to, .. } | Effect::Again { to, .. } | Effect::Refused { to, .. } => {
            Some(to.conn)
        }
        Effect::Snapshot { to, .. } => Some(*to),
        Effect::Entered(entered) => Some(entered.to.conn),
        Effect::Synced(synced) => Some(synced.to.conn),
        Effect::Resumed(resumed) => Some(resumed.to.conn),
        Effect::Cart(told) => Some(told.to.conn()),
        Effect::Superseded { conn } => Some(*conn),
        Effect::Change(_) | Effect::Api(_) | Effect::Keep(_) | Effect::Room(_) => None,
    }
}

macro_rules! answers {
    ($($code:literal => $variant:ident $(($part:ident))? $({ $($field:ident),* })?),* $(,)?) => {
        /// Appends an answer. Its caller has asked [`is_answer`].
        pub(super) fn put_effect(effect: &Effect, pen: &mut Pen<'_>) {
            match effect {
                $(Effect::$variant $(($part))? $({ $($field),* })? => {
                    pen.out.push($code);
                    $($part.put(pen);)?
                    $($($field.put(pen);)*)?
                })*
                Effect::Change(_) | Effect::Api(_) | Effect::Keep(_) | Effect::Room(_) => {
                    unreachable!("it is no answer to a connection")
                }
            }
        }

        fn take_effect(from: &mut Paper<'_>) -> Result<Effect, Malformed> {
            match u8::take(from)? {
                $($code => {
                    $(let $part = Afar::take(from)?;)?
                    $($(let $field = Afar::take(from)?;)*)?
                    Ok(Effect::$variant $(($part))? $({ $($field),* })?)
                })*
                _ => Err(Malformed::Value),
            }
        }
    };
}

answers! {
    0 => Joined { to, client, room, seq, epoch, members },
    1 => Left { to, client, room },
    2 => Snapshot { to, room, seq, epoch },
    3 => Again { to, client, room, seat, seq, epoch, expires_at },
    4 => Refused { to, reject, request, room, seat, details },
    5 => Entered(entered),
    6 => Synced(synced),
    7 => Resumed(resumed),
    8 => Cart(told),
    9 => Superseded { conn },
}

/// The next answer, which is for `to`.
pub(super) fn take_answer(to: ConnId, from: &mut Paper<'_>) -> Result<Effect, Malformed> {
    let effect = take_effect(from)?;
    if told(&effect) == Some(to) { Ok(effect) } else { Err(Malformed::Address) }
}

/// Appends the full state that an answer is told with.
pub(super) fn put_captured(captured: Option<&Captured>, pen: &mut Pen<'_>) {
    captured.is_some().put(pen);
    let Some(Captured { seq, state, since, is_deferred }) = captured else { return };
    let state = state.as_ref().map(|state| pen.states.number(state));
    let is_lost = matches!(state, Some(None));
    seq.put(pen);
    (*is_deferred || is_lost).put(pen);
    state.flatten().put(pen);
    pen.block(if is_lost { &[] } else { since });
}

/// The next full state, or that it has to be waited for, when it is not there.
pub(super) fn take_captured(from: &mut Paper<'_>) -> Result<Option<Captured>, Malformed> {
    if !bool::take(from)? {
        return Ok(None);
    }
    let (seq, is_deferred) = (u64::take(from)?, bool::take(from)?);
    let (state, since) = (<Option<u64> as Afar>::take(from)?, from.block()?);
    let Some(number) = state else {
        return Ok(Some(Captured { seq, state: None, since: since.to_vec(), is_deferred }));
    };
    let Some(state) = from.states.find(number) else {
        crate::marks::hit("a full state that was lost on its way");
        return Ok(Some(Captured::deferred(seq)));
    };
    Ok(Some(Captured { seq, state: Some(state), since: since.to_vec(), is_deferred }))
}

/// A body: it travels as full states do.
impl Afar for Arc<Shared> {
    fn put(&self, pen: &mut Pen<'_>) {
        pen.states.number(self).put(pen);
    }
    fn take(from: &mut Paper<'_>) -> Result<Self, Malformed> {
        let number = <Option<u64> as Afar>::take(from)?;
        number.and_then(|number| from.states.find(number)).ok_or(Malformed::Value)
    }
}
