//! All orders of a few operations of three clients on two seats: what a random search may miss, a full one cannot.
//!
//! Clients and seats are interchangeable, so only sequences are run in which they first appear in the order of their
//! numbers; every other sequence is one of these with other names.

use butaca::engine::shard::Rules;

use crate::model::pair::{Op, Outcome, Pair};

const TTL_MS: u64 = 10;
const CLIENTS: usize = 3;
const SEATS: usize = 2;

/// Runs every sequence of up to `len` operations and returns how many there were.
fn run_all(len: usize, rules: Rules) -> usize {
    let mut sequences = 0;
    extend(&mut Vec::new(), len, (0, 0), &mut |ops| {
        sequences += 1;
        let (last, first) = ops.split_last().expect("not empty");
        let mut pair = Pair::new(rules, CLIENTS);
        for &op in first {
            pair.replay(op);
        }
        pair.check(*last) == Outcome::Refused
    });
    sequences
}

/// Visits the sequence and its continuations up to `len`. `seen`: how many clients and seats it names. A sequence whose
/// last operation was refused is not continued: nothing has changed, so what follows is seen without that operation.
fn extend(ops: &mut Vec<Op>, len: usize, seen: (usize, usize), visit: &mut impl FnMut(&[Op]) -> bool) {
    let is_refused = !ops.is_empty() && visit(ops);
    if is_refused || ops.len() == len {
        return;
    }
    for step in [1, TTL_MS - 1] {
        with(ops, Op::Pass(step), |ops| extend(ops, len, seen, visit));
    }
    for client in 0..CLIENTS.min(seen.0 + 1) {
        let clients = seen.0.max(client + 1);
        // It changes nothing, so nothing is looked at after it.
        with(ops, Op::Resync(client, 0), |ops| visit(ops));
        for op in [Op::Join(client, 0), Op::Leave(client, 0), Op::Gone(client)] {
            with(ops, op, |ops| extend(ops, len, (clients, seen.1), visit));
        }
        for seat in 0..SEATS.min(seen.1 + 1) {
            let seen = (clients, seen.1.max(seat + 1));
            for op in [Op::Select(client, 0, seat), Op::Release(client, 0, seat)] {
                with(ops, op, |ops| extend(ops, len, seen, visit));
            }
        }
    }
}

fn with<R>(ops: &mut Vec<Op>, op: Op, run: impl FnOnce(&mut Vec<Op>) -> R) {
    ops.push(op);
    run(ops);
    ops.pop();
}

#[test]
fn every_order_of_five_operations() {
    let sequences = run_all(5, Rules { hold_ttl_ms: TTL_MS, seats_per_client_max: 1 });
    println!("{sequences} sequences");
    assert!(sequences > 100_000, "only {sequences} sequences");
}
