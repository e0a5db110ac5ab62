//! The offset tracker against a plain model: random reads, finishes, publishes, crashes.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const LIMITS: PlanLimits = limits(8, 100);

const fn limits(lead: i64, minute: u32) -> PlanLimits {
    PlanLimits { leads: Some(Leads { least: lead, most: lead }), minute }
}

fn o(n: i64) -> Offset {
    Offset(n)
}

fn all(_: Offset, list: &[Offset]) -> usize {
    list.len()
}

#[test]
fn with_nothing_unfinished_the_watermark_is_the_position_read_to() {
    let mut t = Tracker::inherit(Told::nothing(o(5)));
    assert!(t.read(o(5)));
    t.read_to(o(9));
    let plan = t.plan(&[o(5)], o(9), LIMITS, all);
    assert_eq!((plan.told.watermark, plan.told.cut), (o(9), o(9)));
    assert_eq!(plan.reported, [o(5)]);
}

#[test]
fn what_does_not_fit_stays_above_the_cut_and_unreported() {
    let mut t = Tracker::inherit(Told::nothing(o(0)));
    for i in 0..10 {
        assert!(t.read(o(i)));
    }
    // 0, 2, 4, 6, 8 are unfinished; two of them fit.
    let ready: Vec<Offset> = [1, 3, 5, 7, 9].map(o).to_vec();
    let plan = t.plan(&ready, o(10), LIMITS, |_, list| list.len().min(2));
    assert_eq!(plan.told.cut, o(4));
    assert_eq!(plan.told.unfinished, [o(0), o(2)]);
    assert_eq!(plan.reported, [o(1), o(3)]);
    assert_eq!(plan.told.watermark, o(0));
}

#[test]
fn the_watermark_does_not_pass_a_ready_offset_that_is_held_back() {
    let mut t = Tracker::inherit(Told::nothing(o(0)));
    for i in 0..3 {
        assert!(t.read(o(i)));
    }
    let plan = t.plan(&[o(1), o(2)], o(3), LIMITS, |_, _| 0);
    assert_eq!((plan.told.watermark, plan.told.cut), (o(0), o(0)));
    assert!(plan.reported.is_empty());
}

#[test]
fn an_inherited_list_is_worked_on_and_the_rest_below_the_cut_is_skipped() {
    let told = Told {
        watermark: o(3),
        cut: o(8),
        unfinished: vec![o(3), o(6)],
        bound: o(9),
        marks: vec![Mark { from: o(0), minute: 7 }, Mark { from: o(5), minute: 9 }],
        forgotten: o(3),
    };
    let mut t = Tracker::inherit(told);
    let worked: Vec<i64> = (3..12).filter(|i| t.read(o(*i))).collect();
    assert_eq!(worked, [3, 6, 8, 9, 10, 11]);
    assert_eq!(t.inherited_minute(o(3)), Some(7));
    assert_eq!(t.inherited_minute(o(6)), Some(9));
    assert_eq!(t.inherited_minute(o(9)), None);
}

#[test]
fn an_unfinished_offset_that_is_no_longer_on_the_topic_is_noticed() {
    let told = Told { cut: o(8), unfinished: vec![o(3), o(6)], ..Told::nothing(o(3)) };
    let mut t = Tracker::inherit(told);
    t.read(o(3));
    assert_eq!(t.vanished(|x| x == o(3)), None);
    t.read(o(7));
    assert_eq!(t.vanished(|x| x == o(3)), Some(o(6)));
}

#[test]
fn the_bound_is_raised_in_steps() {
    let mut t = Tracker::inherit(Told::nothing(o(0)));
    assert!(!t.is_below_bound(o(0)));
    let plan = t.plan(&[], o(0), LIMITS, all);
    assert_eq!(plan.told.bound, o(8));
    t.tell(&plan);
    let bound_at = |t: &Tracker, frontier| t.plan(&[], o(frontier), LIMITS, all).told.bound;
    assert_eq!(bound_at(&t, 2), o(8));
    assert_eq!(bound_at(&t, 3), o(11));
    t.attempt(o(7));
    assert_eq!(bound_at(&t, 0), o(16), "what was attempted counts as the frontier");
}

/// Once no request can leave any more, all that lies ahead of what was attempted is nobody's again.
#[test]
fn the_last_bound_covers_what_was_attempted_and_no_more() {
    let last = PlanLimits { leads: None, minute: 200 };
    let mut t = Tracker::inherit(Told::nothing(o(0)));
    (0..6).for_each(|i| assert!(t.read(o(i))));
    t.tell(&t.plan(&[], o(0), LIMITS, all));
    t.attempt(o(3));
    t.attempt(o(1));
    t.tell(&t.plan(&[], o(4), last, all));
    assert_eq!(t.told().bound, o(4));
    assert!(!t.is_below_bound(o(4)), "not before it is raised again");
    let heir = Tracker::inherit(t.told().clone());
    assert_eq!(heir.inherited_minute(o(3)), Some(100));
    assert_eq!(heir.inherited_minute(o(4)), None);

    // What an owner before us may have attempted stays so, until we know that we are alone.
    let told = Told { bound: o(50), ..Told::nothing(o(4)) };
    let mut t = Tracker::inherit(told);
    (4..9).for_each(|i| assert!(t.read(o(i))));
    t.tell(&t.plan(&[], o(4), LIMITS, all));
    t.attempt(o(4));
    assert_eq!(t.plan(&[], o(5), last, all).told.bound, o(50));
    t.stand_alone(o(7));
    assert_eq!(t.plan(&[], o(5), last, all).told.bound, o(7));
    t.attempt(o(8));
    assert_eq!(t.plan(&[], o(9), last, all).told.bound, o(9));
}

#[test]
fn marks_never_claim_a_later_first_attempt_than_there_was() {
    let mut t = Tracker::inherit(Told::nothing(o(0)));
    let mut first_attempt = Vec::new();
    for step in 0..200_u32 {
        let minute = 1000 + step * 3;
        let i = i64::from(step);
        t.read(o(i));
        let plan = t.plan(&[], o(i), limits(4, minute), all);
        t.tell(&plan);
        t.attempt(o(i));
        first_attempt.push(minute);
        assert!(t.told().marks.len() <= MARKS_MAX);
        let heir = Tracker::inherit(t.told().clone());
        for (offset, at) in first_attempt.iter().enumerate() {
            let inherited = heir.inherited_minute(o(offset as i64)).expect("below the bound");
            assert!(inherited <= *at, "offset {offset}: {inherited} > {at}");
        }
    }
}

#[test]
fn what_is_published_after_the_take_over_is_as_young_as_that() {
    let told = Told {
        cut: o(4),
        bound: o(100),
        marks: vec![Mark { from: o(0), minute: 7 }],
        ..Told::nothing(o(4))
    };
    let mut t = Tracker::inherit(told);
    t.read(o(4));
    assert_eq!(t.inherited_minute(o(4)), Some(7));
    t.ended_at(Mark { from: o(5), minute: 20 });
    assert_eq!(t.inherited_minute(o(5)), Some(20));
    t.read(o(5));
    t.tell(&t.plan(&[], o(5), limits(8, 30), all));
    let heir = Tracker::inherit(t.told().clone());
    assert_eq!(heir.inherited_minute(o(4)), Some(7));
    assert_eq!(heir.inherited_minute(o(5)), Some(20), "an heir learns it from the marks");
    assert_eq!(heir.inherited_minute(o(99)), Some(20));
}

#[test]
fn an_owner_that_is_alone_inherits_nothing_above_the_end() {
    let told = Told { bound: o(100), marks: vec![], ..Told::nothing(o(4)) };
    let mut t = Tracker::inherit(told);
    t.read(o(4));
    t.stand_alone(o(5));
    assert_eq!(t.inherited_minute(o(4)), Some(0));
    assert_eq!(t.inherited_minute(o(5)), None);
    t.tell(&t.plan(&[], o(5), limits(8, 30), all));
    assert_eq!(t.told().bound, o(100), "nothing lowers it before the end");
    let heir = Tracker::inherit(t.told().clone());
    assert_eq!(heir.inherited_minute(o(5)), Some(30));
    t.read(o(5));
    t.attempt(o(5));
    t.stand_alone(o(5));
    t.tell(&t.plan(&[], o(6), limits(8, 40), all));
    let heir = Tracker::inherit(t.told().clone());
    assert_eq!(heir.inherited_minute(o(5)), Some(30), "our own attempt came before minute 40");
    assert_eq!(heir.inherited_minute(o(6)), Some(40));
}

proptest! {
    /// However reads, finishes, publishes and take-overs mix: Kafka is never told of a fate that wasn't reported, no
    /// offset is reported twice, cut and watermark never fall, and what was listed still fits.
    #[test]
    fn kafka_is_told_the_truth(steps in prop::collection::vec((0..6_u8, 0..12_usize), 1..120), cap in 1..6_usize) {
        let fit = |_: Offset, list: &[Offset]| list.len().min(cap);
        let mut t = Tracker::inherit(Told::nothing(o(0)));
        let mut next = 0;
        let mut ready = BTreeSet::new();
        let mut reported = BTreeSet::new();
        for (kind, n) in steps {
            match kind {
                0 | 1 => for _ in 0..n {
                    next = next.max(t.position().0);
                    t.read(o(next));
                    next += 1;
                },
                2 => {
                    let pick = t.unfinished.iter().filter(|x| *x < t.position).nth(n);
                    ready.extend(pick);
                }
                3 | 4 => {
                    let before = t.told().clone();
                    let list: Vec<Offset> = ready.iter().copied().collect();
                    let plan = t.plan(&list, t.position(), LIMITS, fit);
                    prop_assert!(plan.told.unfinished.len() <= cap.max(before.unfinished.len()));
                    for x in &plan.reported {
                        prop_assert!(reported.insert(*x), "reported twice: {x}");
                        ready.remove(x);
                    }
                    t.tell(&plan);
                    prop_assert!(t.told().cut >= before.cut && t.told().watermark >= before.watermark);
                    prop_assert!(t.told().watermark <= t.told().cut);
                    for x in 0..t.told().cut.0 {
                        prop_assert_eq!(t.told().is_finished(o(x)), reported.contains(&o(x)));
                    }
                }
                _ => {
                    t = Tracker::inherit(t.told().clone());
                    next = t.position().0;
                    ready.clear();
                }
            }
        }
    }
}

#[test]
fn what_was_on_the_topic_when_offsets_were_forgotten_stays_so_for_every_owner() {
    let mut t = Tracker::inherit(Told::forgotten(o(3)));
    t.ended_at(Mark { from: o(20), minute: 90 });
    for offset in 3..20 {
        assert!(t.read(o(offset)) && t.is_forgotten(o(offset)));
    }
    assert!(!t.is_forgotten(o(20)));
    let plan = t.plan(&[o(3)], o(4), LIMITS, all);
    assert_eq!((plan.told.watermark, plan.told.forgotten), (o(4), o(20)));
    t.tell(&plan);

    // The next owner knows when the one before it can have asked, and no more of what was before.
    let mut next = Tracker::inherit(plan.told);
    next.ended_at(Mark { from: o(25), minute: 95 });
    assert!(next.is_forgotten(o(4)) && next.is_forgotten(o(19)) && !next.is_forgotten(o(20)));
    assert_eq!((next.inherited_minute(o(10)), next.inherited_minute(o(12))), (Some(100), None));

    // Once all of it is finished nothing is forgotten.
    for offset in 4..25 {
        assert!(next.read(o(offset)));
    }
    let ready: Vec<Offset> = (4..22).map(o).collect();
    assert_eq!(next.plan(&ready, o(22), LIMITS, all).told.forgotten, o(22));
}

#[test]
fn forgotten_offsets_of_an_empty_topic_are_nobodys() {
    let mut t = Tracker::inherit(Told::forgotten(o(3)));
    t.ended_at(Mark { from: o(3), minute: 90 });
    assert!(t.read(o(3)) && !t.is_forgotten(o(3)));
    assert_eq!(t.plan(&[], o(3), LIMITS, all).told.forgotten, o(3));
}
