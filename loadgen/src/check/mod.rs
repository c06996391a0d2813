//! `check`: a walk through the protocol against a running server, sentence by sentence.
//!
//! The client is tungstenite's, not the hand-made one of the load: a second opinion. Invariant: each step has rooms and
//! clients of its own. Never here: load.

mod closing;
mod http;
mod peer;
mod seats;
pub mod second;
mod wrong;

use crate::hall::Api;
use crate::names::fresh_tag;
use crate::out::say;
use crate::target::Target;

/// What a step says: nothing, or what was wrong.
type Outcome = Result<(), String>;

/// What the steps need.
struct Context<'a> {
    target: &'a Target,
    tag: String,
    /// The API of the shop's backend, where it is walked through as well.
    api: Option<Api>,
    /// Whether its clients speak the second protocol.
    speaks_second: bool,
}

impl Context<'_> {
    /// The same for a client of the first protocol: none of its URL is kept but the place.
    fn first(&self) -> Context<'_> {
        Context { target: self.target, tag: self.tag.clone(), api: None, speaks_second: false }
    }
}

type Step = (&'static str, fn(&Context<'_>) -> Outcome);

/// Walks through everything; returns the exit code.
#[must_use]
pub fn run(target: &Target) -> u8 {
    let context = Context { target, tag: fresh_tag(0), api: None, speaks_second: false };
    let groups: [(&str, &[Step]); 4] = [
        ("HTTP", http::STEPS),
        ("Rooms and seats", seats::STEPS),
        ("Refusals", wrong::STEPS),
        ("Closing", closing::STEPS),
    ];
    walk(&context, &groups)
}

/// Walks through these groups of steps; returns the exit code.
fn walk(context: &Context<'_>, groups: &[(&str, &[Step])]) -> u8 {
    let (mut passed, mut failed) = (0, 0);
    for (title, steps) in groups {
        say(&format!("\n{title}"));
        for (name, step) in *steps {
            match step(context) {
                Ok(()) => {
                    passed += 1;
                    say(&format!("  pass  {name}"));
                }
                Err(why) => {
                    failed += 1;
                    say(&format!("  FAIL  {name}\n        {why}"));
                }
            }
        }
    }
    say(&format!("\n{passed} passed, {failed} failed against {}", context.target.addr));
    u8::from(failed > 0)
}

/// `Ok` when `condition` holds.
fn ensure(condition: bool, what: impl FnOnce() -> String) -> Outcome {
    if condition { Ok(()) } else { Err(what()) }
}
