//! The gate as a whole: whose turn it is, and what opens and closes it.

use super::*;

const BOUNDS: Bounds = Bounds {
    in_flight_max: 16,
    is_adaptive: false,
    rate_limit: None,
    retry_percent: 100,
    failures_max: 8,
};

fn gate(bounds: Bounds) -> Gate {
    Gate::new(bounds, Boot(0))
}

fn back(gate: &mut Gate, call: Underway, word: Word, now: Boot) {
    gate.came_back(call, Back { word, after: None, heard_at: now, now, dice: 0.5 });
}

/// Whose turn it is, while both kinds wait and room is for one at a time.
fn turns(gate: &mut Gate, count: usize, now: Boot, word: Word) -> Vec<Purpose> {
    let one = |_| {
        let repeat = gate.room_for_repeats(Firsts::Ready, now) > 0;
        let purpose = if repeat { Purpose::Again } else { Purpose::First };
        let call = gate.leave(purpose, now);
        back(gate, call, word, now);
        purpose
    };
    (0..count).map(one).collect()
}

fn opened(bounds: Bounds, now: Boot) -> Gate {
    let mut gate = gate(bounds);
    for _ in 0..bounds.failures_max {
        let call = gate.leave(Purpose::First, now);
        back(&mut gate, call, Word::Silent, now);
    }
    assert!(gate.is_open());
    gate
}

#[test]
fn while_both_wait_every_fourth_is_a_repeat() {
    use Purpose::{Again, First};
    let mut gate = gate(BOUNDS);
    let lanes = turns(&mut gate, 9, Boot(0), Word::Told);
    assert_eq!(lanes, [Again, First, First, First, Again, First, First, First, Again]);
}

#[test]
fn repeats_have_a_quarter_of_the_calls_under_way_while_first_attempts_wait() {
    let mut gate = gate(BOUNDS);
    for _ in 0..12 {
        gate.leave(Purpose::First, Boot(0));
    }
    assert_eq!(gate.room_for_repeats(Firsts::Ready, Boot(0)), 4);
    assert_eq!(gate.room_for_repeats(Firsts::None, Boot(0)), 4);
    for firsts in [Firsts::Held, Firsts::Ready] {
        let mut gate = super::tests::gate(BOUNDS);
        assert_eq!(gate.room_for_repeats(Firsts::None, Boot(0)), 16);
        for _ in 0..4 {
            gate.leave(Purpose::Again, Boot(0));
        }
        assert_eq!(gate.room_for_repeats(firsts, Boot(0)), 0);
        assert_eq!(gate.room(Boot(0)), 12);
    }
}

#[test]
fn an_open_breaker_lets_nothing_through_then_one_of_each_kind_by_turns() {
    use Purpose::{Again, First};
    let now = Boot(1_000);
    let mut gate = opened(BOUNDS, now);
    assert_eq!((gate.room(now), gate.room_for_repeats(Firsts::None, now)), (0, 0));
    let mut at = now;
    let mut lanes = Vec::new();
    for _ in 0..4 {
        at = gate.wake_at().unwrap();
        assert_eq!(gate.room(at), 1);
        lanes.extend(turns(&mut gate, 1, at, Word::Silent));
        assert_eq!(gate.room(at), 0, "a failed try closes it for a while");
    }
    assert_eq!(lanes, [Again, First, Again, First]);
    assert!(at.since(now) >= Duration::from_secs(4), "at most one try a second");
}

#[test]
fn an_open_breaker_whose_lookups_are_answered_lets_one_call_a_second_through() {
    let mut gate = opened(BOUNDS, Boot(0));
    let mut at = gate.wake_at().unwrap();
    let lookup = gate.leave(Purpose::Lookup, at);
    back(&mut gate, lookup, Word::Told, at);
    assert!(gate.is_open());
    let start = at;
    for n in 1..=8_u32 {
        at = gate.wake_at().unwrap();
        assert_eq!((at, gate.room(at)), (start + Duration::from_secs(1) * n, 1));
        gate.leave(Purpose::First, at);
        assert_eq!((gate.room(at), gate.in_flight()), (0, n as usize), "none has come back");
    }
}

#[test]
fn the_first_answer_closes_the_breaker_and_calls_grow_from_one() {
    let mut gate = opened(BOUNDS, Boot(0));
    let at = gate.wake_at().unwrap();
    let call = gate.leave(Purpose::First, at);
    assert_eq!(gate.room(at), 0, "one at a time");
    back(&mut gate, call, Word::Spoke, at);
    assert!(!gate.is_open());
    let mut rounds = Vec::new();
    for _ in 0..5 {
        let calls: Vec<_> = (0..gate.room(at)).map(|_| gate.leave(Purpose::First, at)).collect();
        rounds.push(calls.len());
        calls.into_iter().for_each(|call| back(&mut gate, call, Word::Told, at));
    }
    assert_eq!(rounds, [2, 4, 8, 16, 16]);
}

#[test]
fn what_a_gateway_says_of_itself_opens_the_breaker() {
    for (word, opens) in [
        (Word::Told, false),
        (Word::Spoke, false),
        (Word::Refused, true),
        (Word::InTrouble, true),
        (Word::Silent, true),
    ] {
        let mut gate = gate(BOUNDS);
        for _ in 0..BOUNDS.failures_max {
            let call = gate.leave(Purpose::First, Boot(0));
            back(&mut gate, call, word, Boot(0));
        }
        assert_eq!(gate.is_open(), opens, "{word:?}");
    }
}

#[test]
fn fruitless_repeats_run_out_and_first_attempts_pay_for_more() {
    let bounds = Bounds { retry_percent: 10, failures_max: u32::MAX, ..BOUNDS };
    let mut gate = gate(bounds);
    let mut repeats = 0;
    for n in 0..=2_000 {
        while gate.room_for_repeats(Firsts::None, Boot(n)) > 0 {
            let call = gate.leave(Purpose::Again, Boot(n));
            back(&mut gate, call, Word::Silent, Boot(n));
            repeats += 1;
        }
        let call = gate.leave(Purpose::First, Boot(n));
        back(&mut gate, call, Word::Told, Boot(n));
    }
    assert_eq!(repeats, 200 + BOUNDS.in_flight_max);
}

#[test]
fn the_rate_holds_for_all_lanes_together() {
    let mut gate = gate(Bounds { rate_limit: Some(100), ..BOUNDS });
    gate.set_share(1, 2, Boot(0));
    let mut now = Boot(0);
    let mut left = 0;
    while now < Boot(10_000_000) {
        let room = gate.room(now);
        left += turns(&mut gate, room, now, Word::Told).len();
        now = gate
            .wake_at()
            .unwrap_or(now + Duration::from_millis(1))
            .max(now + Duration::from_micros(1));
    }
    assert!((498..=503).contains(&left), "{left}");
}

#[test]
fn verdicts_say_what_the_gateway_is_like() {
    let why = String::new;
    let lost = Answer::Lost(why());
    let response = |status| {
        Answer::Response(crate::domain::answer::Response {
            status,
            replayed: false,
            retry_after: Some(Duration::from_secs(7)),
            body: bytes::Bytes::new(),
        })
    };
    let unknown = |is_outage| Verdict::Unknown { why: why(), retry_after: None, is_outage };
    let refused = Verdict::NotTaken { why: why(), retry_after: Some(Duration::from_secs(3)) };
    let three = Some(Duration::from_secs(3));
    for (answer, verdict, expected) in [
        (&lost, Some(&unknown(true)), (Word::Silent, None)),
        (&lost, None, (Word::Silent, None)),
        (&response(200), Some(&unknown(false)), (Word::Spoke, None)),
        (&response(500), Some(&unknown(true)), (Word::InTrouble, None)),
        (&response(503), Some(&refused), (Word::Refused, three)),
        (&response(404), Some(&Verdict::NeverSeen), (Word::Told, None)),
        (&response(409), Some(&Verdict::StillRunning { retry_after: three }), (Word::Spoke, None)),
        (&response(200), None, (Word::Spoke, None)),
        (&response(503), None, (Word::InTrouble, Some(Duration::from_secs(7)))),
    ] {
        assert_eq!(Word::of(answer, verdict), expected, "{answer:?} {verdict:?}");
    }
}
