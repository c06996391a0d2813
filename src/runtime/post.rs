//! Mail from other shards: each letter is acted on in the order in which it came.
//!
//! Invariant: a letter for a connection that has ended changes nothing. Never here: decisions.

use crate::engine::command::Input;
use crate::runtime::core::Core;
use crate::runtime::mesh::{Mail, News, Standing};

impl Core {
    /// Acts on one letter.
    pub(crate) fn open_letter(&mut self, mail: Mail) {
        match mail {
            Mail::HandOver(letter) => self.arrive(*letter),
            Mail::Command(command) => self.remote_command(&command),
            Mail::Resync { conn, room } => self.decide(Input::Resync { conn, room: room.as_str() }),
            Mail::Gone { conn } => self.decide(Input::Gone { conn }),
            Mail::Answer { to, room, standing, captured } => {
                let Some(slot) = self.conns.find(to) else { return };
                self.answered(slot, &room, standing, &captured);
                if standing != Standing::CaughtUp {
                    self.remote_done(slot);
                }
            }
            Mail::News(news) => self.news(&news),
            Mail::Ask { by, question } => self.asked(by, &question),
            Mail::Told { to, told } => self.told(to, *told),
        }
    }

    /// What happened in a room that another shard owns.
    fn news(&mut self, news: &News) {
        if let Some(view) = self.views.find(news.room.as_str()) {
            self.views.get_mut(view).held = news.held;
        }
        let mut done = 0;
        let mut count = news.count;
        for own in &news.own {
            // Everything before the actor's own event first: the order of the room is everybody's.
            if own.place.start > done {
                self.tell(&news.room, &news.frames[done..own.place.start], 0, None, &[]);
            }
            let slot = self.conns.find(own.to);
            self.tell(&news.room, &news.frames[own.place.clone()], count, slot, &own.frame);
            count = 0;
            done = own.place.end;
            if let Some(slot) = slot
                && own.answers
            {
                self.remote_done(slot);
            }
        }
        self.tell(&news.room, &news.frames[done..], count, None, &[]);
    }
}
