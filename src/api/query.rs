//! What stands behind the question mark of a request, checked by the table of calls.
//!
//! Invariant: what a call does not know, and what stands there twice, is refused. Never here: what a parameter does.

use std::collections::BTreeMap;

use super::calls::{Call, Param, ParamKind};
use super::events;
use super::problem::{INVALID, Problem};
use super::requests::owner_of_query;
use super::words::Name;

/// The parameters that were given.
#[derive(Default, Debug)]
pub(super) struct Query(BTreeMap<&'static str, String>);

impl Query {
    /// Reads the text behind the question mark.
    pub(super) fn read(call: &Call, text: &str) -> Result<Self, Problem> {
        let mut given = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            let refuse = |why: String| Problem::new(&INVALID, format!("?{}: {why}", name.escape_debug()));
            let param = call.query.iter().find(|param| param.name == name);
            let param = param.ok_or_else(|| refuse("this call does not know it".into()))?;
            check(param, &value).map_err(refuse)?;
            if given.insert(param.name, value.into_owned()).is_some() {
                return Err(refuse("it stands there twice".into()));
            }
        }
        Ok(Self(given))
    }

    /// A parameter as it was given.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A name that was given.
    pub(super) fn name(&self, name: &str) -> Option<Name> {
        self.text(name).map(|text| Name::new(text).expect("it was checked"))
    }

    /// A number that was given.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.text(name).map(|text| text.parse().expect("it was checked"))
    }

    /// Whether a switch is on.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.text(name) == Some("1")
    }
}

fn check(param: &Param, value: &str) -> Result<(), String> {
    let is_allowed = match param.kind {
        ParamKind::Id => Name::new(value).is_some(),
        ParamKind::Owner => return owner_of_query(value).map(drop).map_err(|why| format!("an owner: {why}")),
        ParamKind::Cursor => events::place(value).is_some(),
        ParamKind::Number { min, max } => value.parse().is_ok_and(|number: u64| (min..=max).contains(&number)),
        ParamKind::Word(words) => words.contains(&value),
        ParamKind::Switch => matches!(value, "0" | "1"),
    };
    if is_allowed { Ok(()) } else { Err(format!("allowed is {}", allowed(param.kind))) }
}

fn allowed(kind: ParamKind) -> String {
    match kind {
        ParamKind::Id => "a name of 1 to 128 bytes".into(),
        ParamKind::Owner => "an owner".into(),
        ParamKind::Cursor => "the cursor of an event".into(),
        ParamKind::Number { min, max } => format!("a whole number from {min} to {max}"),
        ParamKind::Word(words) => format!("one of {}", words.join(", ")),
        ParamKind::Switch => "0 or 1".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::Query;
    use crate::api::table::CALLS;

    #[test]
    fn parameters_are_known_once_and_of_their_kind() {
        let seats = CALLS.iter().find(|call| call.id == "listSeats").unwrap();
        let read = |text: &str| Query::read(seats, text).map_err(|problem| problem.detail);
        let query = read("state=booked&limit=7&after=Fila%201%2B2&seat=a+b").unwrap();
        assert_eq!((query.text("state"), query.number("limit")), (Some("booked"), Some(7)));
        assert_eq!(query.name("after").map(|name| name.as_str().to_owned()).as_deref(), Some("Fila 1+2"));
        assert_eq!((query.text("seat"), query.text("owner")), (Some("a b"), None));
        assert!(read("").is_ok());
        assert!(read(&format!("owner=client_id:{}", "x".repeat(128))).is_ok());
        for (text, why) in [
            ("stat=booked", "?stat: this call does not know it"),
            ("limit=1&limit=1", "?limit: it stands there twice"),
            ("limit=0", "?limit: allowed is a whole number from 1 to 1000"),
            ("limit=-1", "?limit: allowed is a whole number from 1 to 1000"),
            ("owner=", "?owner: an owner: a name has 1 to 128 bytes"),
            ("owner=session_id:x", "?owner: an owner: session_id: it is none"),
            ("state=sold", "?state: allowed is one of free, held, checkout, booked, blocked"),
            ("after=", "?after: allowed is a name of 1 to 128 bytes"),
            ("after=%00", "?after: allowed is a name of 1 to 128 bytes"),
        ] {
            assert_eq!(read(text).err().as_deref(), Some(why), "{text}");
        }
    }
}
