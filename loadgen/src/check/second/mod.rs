//! The second protocol, sentence by sentence.
//!
//! Invariant: each step names what it walks through; what needs the backend's API is left out, and said, without one.
//! Never here: the first protocol, but for what its members see of carts.

mod carts;
mod laid_out;
mod maps;
mod member;
mod sale;
mod sessions;
mod words;

use super::{Context, Step, walk};
use crate::hall::Api;
use crate::names::fresh_tag;
use crate::out::say;
use crate::target::Target;

/// Walks through everything; returns the exit code.
#[must_use]
pub fn run(target: &Target, api: Option<Api>) -> u8 {
    let has_api = api.is_some();
    let context = Context { target, tag: fresh_tag(0), api, speaks_second: true };
    let mut groups: Vec<(&str, &[Step])> =
        vec![("Messages", words::STEPS), ("Maps", maps::STEPS), ("Carts", carts::STEPS), ("Sessions", sessions::STEPS)];
    if has_api {
        groups.extend([("Rooms with a layout", laid_out::STEPS), ("The sale", sale::STEPS)]);
    } else {
        say("without --api rooms with a layout and the sale are left out");
    }
    walk(&context, &groups)
}
