//! What the operator of a run has decided: by chance, and so that a run reaches it.

use butaca::audience::full_states::FullStateBounds;
use butaca::audience::pace::Pace;
use butaca::engine::shard::{CartRules, Rules};
use butaca::limits::{PING_AFTER_MS, PONG_WITHIN_MS};
use butaca::node::rate::Rate;
use butaca::node::{self, Bounds, SecondRules};
use butaca::wire::message::BroadcastUserInfo;

use kit::Chance;

/// Small bounds, so that runs reach them.
pub(crate) const BOUNDS: Bounds = Bounds {
    queue_bytes: 1_200,
    log_bytes: 2_000,
    open_requests: 6,
    flush_bytes: 3_000,
    slice_members: 2,
    shared_state_bytes: 700,
    full_states: FullStateBounds { at_once: 1, bytes_max: 3_000, since_bytes_max: 1_500 },
    rate: Rate::OFF,
    origin_rate: Rate::OFF,
};
pub(crate) fn node_rules(chance: &mut Chance, (rules, carts): (Rules, CartRules), is_durable: bool) -> node::Rules {
    node::Rules {
        share: BroadcastUserInfo::Full,
        pace: Pace { factor: chance.below(4) as u64, max_ns: 10_000_000 },
        hot_room_members: 3,
        slow_consumer_ms: [0, 0, 200][chance.below(3)],
        silence_ms: PING_AFTER_MS + PONG_WITHIN_MS,
        hold_ttl_ms: rules.hold_ttl_ms,
        restore_grace_ms: 1,
        is_durable,
        second: SecondRules {
            tick_ms: chance.between(1, 60) as u64,
            ring_max: [1, 2, 3, 8, 1_000][chance.below(5)],
            grace_ms: carts.grace_ms,
            extends_max: carts.extends_max,
            ..SecondRules::default()
        },
    }
}

/// Rules for carts that are reached within a run.
pub(crate) fn cart_rules(chance: &mut Chance, hold_ms: u64) -> CartRules {
    let hold_ms = usize::try_from(hold_ms).expect("small");
    CartRules {
        grace_ms: if chance.percent(20) { 0 } else { chance.between(1, hold_ms) as u64 },
        extends_max: u8::try_from(chance.below(3)).expect("small"),
        life_max_ms: chance.between(hold_ms, 2 * hold_ms) as u64,
        warn_ms: chance.below(hold_ms) as u64,
        only_declared: false,
        ..CartRules::default()
    }
}
