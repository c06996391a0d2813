//! Deadlines: what the ends of holds take, through the shard's one door.

use butaca::engine::command::Input;
use butaca::engine::time::Now;
use butaca::limits::HOLD_TTL_MS;

use super::Work;
use super::engine::{Hall, seats};

pub(crate) const WORKS: [&str; 3] =
    ["select_100_that_expire", "churn_of_100_behind_a_long_hold", "tick_with_1000_held"];

fn later(now: Now, ms: u64) -> Now {
    Now { mono: now.mono.after(ms), wall: now.wall.after(ms) }
}

pub(crate) fn prepare(name: &str) -> Work {
    let mut hall = Hall::new(20);
    let all = seats(1_000);
    match name {
        "select_100_that_expire" => Box::new(move || {
            all[..100].iter().zip(0_u32..).for_each(|(seat, index)| hall.select(index % 20, seat));
            hall.now = later(hall.now, HOLD_TTL_MS);
            hall.handle(|_| Input::Tick, 0);
        }),
        "churn_of_100_behind_a_long_hold" => {
            hall.select(0, "Z-1");
            Box::new(move || {
                for seat in &all[..100] {
                    hall.select(1, seat);
                    hall.release(1, seat);
                }
            })
        }
        "tick_with_1000_held" => {
            all.iter().zip(0_u32..).for_each(|(seat, index)| hall.select(index % 20, seat));
            Box::new(move || hall.handle(|_| Input::Tick, 0))
        }
        _ => panic!("there is no work {name}"),
    }
}
