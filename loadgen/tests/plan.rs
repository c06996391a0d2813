//! The user model: same seed, same plan, and shares as published.

use clap::Parser;
use loadgen::names::Hall;
use loadgen::plan::{Fate, Model, Role, Taste, User, rooms_by_rank, users};
use rand::SeedableRng;
use rand::rngs::SmallRng;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    model: Model,
}

fn model(flags: &[&str]) -> Model {
    let flags = ["test"].iter().chain(flags);
    Flags::try_parse_from(flags).expect("the flags are right").model
}

fn share(plan: &[User], what: impl Fn(&User) -> bool) -> f64 {
    plan.iter().filter(|user| what(user)).count() as f64 / plan.len() as f64
}

#[test]
fn the_same_seed_gives_the_same_plan() {
    let model = model(&[]);
    let plan = users(7, &model, 500, 60.0, 1.0);
    assert_eq!(plan, users(7, &model, 500, 60.0, 1.0));
    assert_ne!(plan, users(8, &model, 500, 60.0, 1.0));
    assert_eq!(rooms_by_rank(7, 500, 100, 1.0), rooms_by_rank(7, 500, 100, 1.0));
}

#[test]
fn the_same_seed_gives_the_same_choices() {
    let (hall, model) = (Hall { blocks: 10, rows: 25, row_seats: 20 }, model(&[]));
    let taste = Taste::new(hall, &model);
    let draw = || {
        let mut rng = SmallRng::seed_from_u64(3);
        (0..50).map(|_| taste.group(&mut rng, 3, &|seat| seat % 7 != 0)).collect::<Vec<_>>()
    };
    let groups = draw();
    assert_eq!(groups, draw());
    for group in groups.iter().filter(|group| group.len() == 3) {
        let (block, row, _) = hall.place(group[0]);
        assert!(group.windows(2).all(|pair| pair[1] == pair[0] + 1), "neighbours: {group:?}");
        assert!(
            group.iter().all(|seat| hall.place(*seat).0 == block && hall.place(*seat).1 == row && seat % 7 != 0),
            "free and in one row: {group:?}"
        );
    }
}

#[test]
fn shares_are_those_of_the_model() {
    let plan = users(1, &model(&[]), 40_000, 90.0, 1.0);
    let near = |value: f64, wanted: f64| assert!((value - wanted).abs() < 0.012, "{value} instead of {wanted}");
    near(share(&plan, |user| user.arrives == 0.0), 0.6);
    near(share(&plan, |user| user.role == Role::Sniper), 0.2);
    near(share(&plan, |user| user.role == Role::Bot), 0.05);
    near(share(&plan, |user| user.role == Role::Slow), 0.01);
    near(share(&plan, |user| user.role == Role::Deaf), 0.001);
    near(share(&plan, |user| user.fate == Fate::Keep), 0.57);
    near(share(&plan, |user| user.fate == Fate::Release), 0.43 * 0.5);
    near(share(&plan, |user| user.fate == Fate::Drop), 0.43 * 0.3);
    for (size, weight) in [(1, 0.08), (2, 0.49), (3, 0.13), (4, 0.30)] {
        near(share(&plan, |user| user.group == size), weight);
    }
    let late: Vec<f64> = plan.iter().map(|user| user.arrives).filter(|at| *at > 0.0).collect();
    near(late.iter().filter(|at| **at < 15.0).count() as f64 / late.len() as f64, 1.0 - (-1.0_f64).exp());
}

#[test]
fn durations_follow_the_scale_and_bounds_hold() {
    let plan = users(1, &model(&["--look-secs", "4,8"]), 2_000, 9.0, 0.1);
    let humans = plan.iter().filter(|user| user.role == Role::Human);
    assert!(humans.clone().all(|user| (0.4..=0.8).contains(&user.look)));
    assert!(plan.iter().all(|user| user.arrives < 9.0 && user.reconnects.iter().all(|at| *at < 9.0)));
}

#[test]
fn the_front_is_wanted_most() {
    let hall = Hall { blocks: 100, rows: 25, row_seats: 20 };
    let taste = Taste::new(hall, &model(&[]));
    let mut rng = SmallRng::seed_from_u64(5);
    let mut counts = vec![0_u32; 100];
    let mut rows = vec![0_u32; 25];
    for _ in 0..20_000 {
        let seat = taste.group(&mut rng, 1, &|_| true)[0];
        let (block, row, _) = hall.place(seat);
        counts[block as usize] += 1;
        rows[row as usize] += 1;
    }
    assert!(counts[0] > 3 * counts[4] && counts[0] > 50 * counts[99].max(1) / 2, "{counts:?}");
    assert!(rows[0] > rows[3] && rows[3] > rows[10], "{rows:?}");
}

#[test]
fn wrong_models_are_refused() {
    for flags in [
        &["--early-share", "1.5"][..],
        &["--look-secs", "8,4"],
        &["--group-weights", "1,2"],
        &["--fate-weights", "0,0,0"],
        &["--row-geometric", "0"],
        &["--bot-rate", "0"],
    ] {
        assert!(model(flags).check().is_err(), "{flags:?}");
    }
    assert_eq!(model(&[]).check(), Ok(()));
}
