//! One shopper's map of the room by the first protocol, and what may never be seen on it.
//!
//! Invariant: what is booked is freed by a refund only; changes come one by one, each numbered after the one before. An
//! own one may run ahead of what was missed: then a full state comes before anything else is told. Never here: sockets.

use std::collections::BTreeMap;

use serde_json::Value;

/// Seats that are not free, each with its state in words.
pub(super) type States = BTreeMap<String, String>;

/// What a shopper sees.
#[derive(Default)]
pub(super) struct Map {
    /// Whose it is.
    own: String,
    pub(super) states: States,
    /// The number of the last change; nothing before the first full state.
    seq: Option<u64>,
    /// An own change has run ahead, and the full state has not come yet.
    pub(super) is_ahead: bool,
}

impl Map {
    pub(super) fn of(own: &str) -> Self {
        Self { own: own.to_owned(), ..Self::default() }
    }

    /// Takes a message; what is wrong about it, if something is.
    pub(super) fn take(&mut self, message: &Value) -> Option<String> {
        let before = self.seq;
        let fault = self.apply(message);
        let (Some(before), Some(now)) = (before, self.seq) else { return fault };
        let is_change = message["type"] != "current_selections" && now != before;
        let is_own = message["client_id"] == self.own.as_str();
        let jumps = is_change && (now != before + 1 || self.is_ahead);
        if message["type"] == "current_selections" {
            self.is_ahead = false;
        } else if jumps && is_own {
            self.is_ahead = true;
            return fault;
        }
        fault.or_else(|| jumps.then(|| format!("a change numbered {now} after {before}: {message}")))
    }

    fn apply(&mut self, message: &Value) -> Option<String> {
        let is_known =
            matches!(message["type"].as_str(), Some("seat_selected" | "seat_released" | "current_selections"));
        // Who selects again what it holds gets the number of the first time.
        let is_again = message["client_id"] == self.own.as_str() && message["seq"].as_u64() <= self.seq;
        if is_known && !is_again {
            self.seq = message["seq"].as_u64().or(self.seq);
        }
        match message["type"].as_str() {
            Some("seat_selected") => self.selected(message),
            Some("seat_released") => self.released(message),
            Some("current_selections") => {
                let all = message["selections"].as_array().map(Vec::as_slice).unwrap_or_default();
                self.states = all.iter().map(|one| (text(one, "seat_id"), state_of(one))).collect();
                None
            }
            _ => None,
        }
    }

    fn selected(&mut self, message: &Value) -> Option<String> {
        let (seat, state) = (text(message, "seat_id"), state_of(message));
        let before = self.states.insert(seat.clone(), state.clone());
        let is_lost = before.as_deref() == Some("booked") && state != "booked";
        is_lost.then(|| format!("seat {seat} was booked and is {state} without a refund"))
    }

    fn released(&mut self, message: &Value) -> Option<String> {
        let (seat, reason) = (text(message, "seat_id"), text(message, "reason"));
        let before = self.states.remove(&seat);
        let is_lost = before.as_deref() == Some("booked") && reason != "refunded";
        is_lost.then(|| format!("seat {seat} was booked and is freed as {reason}"))
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn state_of(message: &Value) -> String {
    message["status"].as_str().unwrap_or("held").to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Map;

    #[test]
    fn an_own_change_may_run_ahead_of_a_full_state() {
        let full = |seq: u64| json!({"type": "current_selections", "seq": seq, "selections": []});
        let change = |seq: u64, by: &str| json!({"type": "seat_selected", "seat_id": seq.to_string(), "seq": seq, "client_id": by});
        for (messages, faults) in [
            (vec![full(1), change(2, "x"), change(3, "me"), change(4, "x")], 0),
            (vec![full(1), change(3, "x")], 1),
            (vec![full(1), change(7, "me"), change(9, "me"), full(10), change(11, "x")], 0),
            (vec![full(1), change(7, "me"), change(8, "x")], 1),
        ] {
            let mut map = Map::of("me");
            assert_eq!(messages.iter().filter_map(|message| map.take(message)).count(), faults, "{messages:?}");
        }
    }

    #[test]
    fn what_is_booked_stays_booked_until_its_refund() {
        let held = json!({"type": "seat_selected", "seat_id": "A"});
        let booked = json!({"type": "seat_selected", "seat_id": "A", "status": "booked"});
        let freed = |reason: &str| json!({"type": "seat_released", "seat_id": "A", "reason": reason});
        for (messages, faults) in [
            (vec![held.clone(), booked.clone(), booked.clone(), freed("refunded"), held.clone()], 0),
            (vec![held.clone(), freed("expired")], 0),
            (vec![booked.clone(), freed("expired")], 1),
            (vec![booked.clone(), held.clone()], 1),
            (
                vec![json!({"type": "current_selections", "selections": [{"seat_id": "A", "status": "booked"}]}), held],
                1,
            ),
        ] {
            let mut map = Map::default();
            assert_eq!(messages.iter().filter_map(|message| map.take(message)).count(), faults, "{messages:?}");
        }
    }
}
