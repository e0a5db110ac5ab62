//! A run that balances, and every way to spoil it: each must be found, under its name and on its line.

mod world;

use super::*;
use crate::domain::money::Amount;
use crate::domain::transaction::PayloadHash;
use world::*;

#[test]
fn a_run_with_one_of_everything_balances() {
    let report = good().report();
    assert_eq!(report.findings, []);
    assert!(report.is_balanced() && report.spoiled.is_empty());
    let count = |line| report.count(line);
    assert_eq!((count(Line::Consumed), count(Line::Waiting)), (9, 2));
    let fates = [Line::Archived, Line::Declined, Line::Duplicate, Line::Rejected, Line::InDoubt];
    assert_eq!(fates.map(count), [2, 2, 1, 1, 3]);
    assert_eq!((count(Line::Charges), count(Line::Rows), count(Line::Events)), (6, 8, 9));
    assert_eq!((report.declines, report.resolutions), (1, 3));
    assert_eq!((report.gone, report.meanwhile), (1, 1));
    let euros = &report.sums[&Currency::parse("EUR")];
    let sum = |count, minor_units| Sum { count, minor_units };
    assert_eq!(euros[&Line::Consumed], sum(8, 800 + 1 + 2 + 3 + 5 + 7 + 8 + 9 + 10));
    assert_eq!(euros[&Line::Archived], sum(2, 209));
    assert_eq!(euros[&Line::Declined], sum(2, 209));
    assert_eq!(report.sums[&None][&Line::Rejected], sum(1, 0));
}

/// Spoils the good run; the flaw must be found at that offset (or for that id), and its lines be spoiled.
#[track_caller]
fn check(flaw: Flaw, offset: Option<i64>, spoil: impl FnOnce(&mut Run)) {
    let mut run = good();
    spoil(&mut run);
    let report = run.report();
    let found: Vec<_> = report.findings.iter().map(|f| (f.flaw, f.spot)).collect();
    assert!(found.contains(&(flaw, offset.map(spot))), "{flaw:?} is not in {found:?}");
    assert!(!report.is_balanced());
    assert!(report.is_spoiled(flaw.line()), "{:?}", report.spoiled);
    assert_eq!(report.found(), report.findings.len() as u64);
}

#[test]
fn every_fault_of_an_event_is_found() {
    check(Flaw::NoEvent, Some(1), |run| run.drop_event(1));
    check(Flaw::NoEvent, Some(4), |run| run.drop_event(4));
    check(Flaw::TwoEvents, Some(1), |run| run.events.push(run.events[1].clone()));
    check(Flaw::TwoEvents, Some(2), |run| run.events.push(event(2, "d", Fate::Archived)));
    check(Flaw::WrongEventId, Some(1), |run| run.event(1).event_id = event_id(2));
    check(Flaw::WrongTopic, Some(2), |run| run.event(2).is_misplaced = true);
    check(Flaw::OtherContent, Some(1), |run| run.event(1).id = Some(id("d")));
    check(Flaw::OtherContent, Some(4), |run| run.event(4).id = Some(id("d")));
    check(Flaw::OtherContent, Some(1), |run| run.told(1).money = money(99, "EUR"));
    check(Flaw::OtherContent, Some(1), |run| run.told(1).money = money(101, "USD"));
    check(Flaw::OtherContent, Some(1), |run| run.told(1).hashed = event_id(2));
    check(Flaw::EventAhead, Some(6), |run| run.events.push(event(6, "w", Fate::Archived)));
    check(Flaw::EventAhead, Some(11), |run| run.second = None);
    check(Flaw::EventWithoutRecord, Some(5), |run| {
        run.sources.retain(|source| source.spot != spot(5));
    });
}

#[test]
fn an_event_of_a_partition_that_is_not_there_is_found() {
    let mut run = good();
    let mut stray = event(1, "a", Fate::Archived);
    stray.spot.partition = Partition(9);
    run.events.push(stray.clone());
    let found = run.report().findings;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].flaw, found[0].spot), (Flaw::EventWithoutRecord, Some(stray.spot)));
}

#[test]
fn every_fault_of_a_row_is_found() {
    check(Flaw::NoRow, Some(1), |run| run.drop_row("a"));
    check(Flaw::NoRow, Some(2), |run| run.drop_row("d"));
    check(Flaw::NoRow, Some(5), |run| run.drop_row("i"));
    check(Flaw::TwoRows, Some(1), |run| run.rows.push(row(1, "a", Fate::Archived)));
    check(Flaw::RowElsewhere, Some(1), |run| *run.row("a") = row(3, "a", Fate::Archived));
    check(Flaw::RowElsewhere, Some(7), |run| *run.row("two") = row(8, "two", Fate::Declined));
    check(Flaw::RowElsewhere, Some(5), |run| *run.row("i") = row(6, "i", Fate::Declined));
    check(Flaw::OtherRow, Some(1), |run| run.row("a").fate = Fate::Declined);
    check(Flaw::OtherRow, Some(2), |run| run.row("d").fate = Fate::Archived);
    check(Flaw::OtherRow, Some(5), |run| run.row("i").fate = Fate::Declined);
    check(Flaw::OtherRow, Some(1), |run| run.row("a").amount = Amount::new(99).unwrap());
    check(Flaw::OtherRow, Some(5), |run| run.row("i").amount = Amount::new(99).unwrap());
    check(Flaw::OtherRow, Some(1), |run| run.row("a").currency = Currency::parse("USD").unwrap());
    check(Flaw::OtherRow, Some(1), |run| run.row("a").event_id = event_id(2));
    check(Flaw::OtherRow, Some(1), |run| run.row("a").payload_hash = PayloadHash([8; 32]));
    check(Flaw::OtherRow, Some(1), |run| run.row("a").gateway_id = Some("ch_2".into()));
    check(Flaw::OtherRow, Some(2), |run| run.row("d").account_id = "acc-2".into());
    check(Flaw::OtherRow, Some(2), |run| run.row("d").code = Some("other".into()));
    check(Flaw::RowWithoutEvent, Some(3), |run| *run.row("a") = row(3, "a", Fate::Archived));
    check(Flaw::RowWithoutEvent, Some(5), |run| run.event(5).fate = Fate::Rejected);
    check(Flaw::RowWithoutRecord, Some(2), |run| run.rows.push(row(2, "x", Fate::Archived)));
    check(Flaw::RowWithoutRecord, Some(50), |run| run.rows.push(row(50, "x", Fate::Archived)));
}

#[test]
fn every_fault_of_a_charge_is_found() {
    check(Flaw::NoCharge, Some(1), |run| run.drop_charge("a"));
    check(Flaw::NoCharge, Some(9), |run| run.drop_charge("yes"));
    check(Flaw::TwoCharges, Some(1), |run| run.charges.push(charge(1, "a")));
    check(Flaw::TwoCharges, None, |run| run.charges.push(charge(6, "w")));
    check(Flaw::OtherCharge, Some(1), |run| run.charge("a").money = money(99, "EUR"));
    check(Flaw::OtherCharge, Some(1), |run| run.charge("a").money = money(101, "USD"));
    check(Flaw::ChargedAnyway, Some(2), |run| run.charges.push(charge(2, "d")));
    check(Flaw::ChargedAnyway, Some(10), |run| run.charges.push(charge(10, "no")));
    check(Flaw::ChargeWithoutRecord, None, |run| run.charges.push(charge(1, "nobody")));
    check(Flaw::OtherKey, None, |run| run.charge("a").key = Some("b".into()));
}

#[test]
fn without_a_ledger_nothing_is_said_of_charges() {
    let mut run = good();
    run.charges.clear();
    let report = run.report_with(false, 100);
    assert_eq!(report.findings, []);
    assert!(run.report().count(Line::Charges) == 0 && !run.report().is_balanced());
}

#[test]
fn a_doubt_may_have_been_charged_and_so_may_one_whose_record_is_gone() {
    let mut run = good();
    run.charges.extend([charge(5, "i"), charge(0, "old")]);
    run.rows.push(row(0, "old", Fate::InDoubt));
    assert_eq!(run.report().findings, []);
}

#[test]
fn every_fault_of_a_duplicate_is_found() {
    let of = |run: &mut Run, other| run.event(3).duplicate_of = other;
    check(Flaw::BadDuplicate, Some(3), |run| of(run, Other::Nothing));
    check(Flaw::BadDuplicate, Some(3), |run| of(run, Other::Spot(spot(3))));
    check(Flaw::BadDuplicate, Some(3), |run| of(run, Other::Spot(spot(2))));
    check(Flaw::BadDuplicate, Some(3), |run| {
        let partition = Partition(9);
        of(run, Other::Spot(Spot { partition, offset: Offset(1) }));
    });
    check(Flaw::BadDuplicate, Some(3), |run| run.drop_row("a"));
    let mut run = good();
    of(&mut run, Other::OtherTopic);
    assert_eq!(run.report().findings, []);
}

#[test]
fn what_can_not_be_read_must_be_rejected_and_nothing_else() {
    check(Flaw::NotRejected, Some(5), |run| run.event(5).fate = Fate::Rejected);
    check(Flaw::Unreadable, Some(4), |run| run.event(4).fate = Fate::InDoubt);
    check(Flaw::Unreadable, Some(4), |run| run.event(4).fate = Fate::Archived);
}

#[test]
fn what_was_too_old_or_unknown_then_may_be_rejected_unless_it_was_charged() {
    let expire = |run: &mut Run| {
        run.event(5).fate = Fate::Rejected;
        run.event(5).is_of_its_time = true;
        run.drop_row("i");
    };
    let mut run = good();
    expire(&mut run);
    assert_eq!(run.report().findings, []);
    run.charges.push(charge(5, "i"));
    let flaws: Vec<Flaw> = run.report().findings.iter().map(|finding| finding.flaw).collect();
    assert_eq!(flaws, [Flaw::ChargedAnyway]);
}

#[test]
fn every_fault_of_a_resolution_is_found() {
    check(Flaw::NoResolution, Some(9), |run| run.resolutions.retain(|r| r.spot != spot(9)));
    check(Flaw::NoResolution, Some(10), |run| run.resolutions.retain(|r| r.spot != spot(10)));
    check(Flaw::OtherResolution, Some(9), |run| run.resolutions.push(resolving(9, "yes", false)));
    check(Flaw::OtherResolution, Some(5), |run| run.resolutions.push(resolving(5, "i", true)));
    check(Flaw::OtherResolution, Some(9), |run| run.row("yes").gateway_id = Some("ch_2".into()));
    check(Flaw::ResolutionWithoutDoubt, Some(2), |run| {
        run.resolutions.push(resolving(2, "d", true));
    });
    check(Flaw::ResolutionWithoutDoubt, Some(9), |run| {
        run.resolutions.iter_mut().for_each(|r| r.resolves = event_id(1));
    });
    check(Flaw::WrongEventId, Some(9), |run| run.resolutions[0].is_named_right = false);
}

#[test]
fn a_row_that_was_resolved_while_it_was_read_is_read_again() {
    let resolved_late = |again: bool| {
        let mut run = good();
        *run.row("yes") = row(9, "yes", Fate::InDoubt);
        run.again = again.then(|| row(9, "yes", Fate::Archived)).into_iter().collect();
        run.report()
    };
    assert_eq!(resolved_late(false).findings[0].flaw, Flaw::OtherResolution);
    assert_eq!(resolved_late(true).findings, []);
}

#[test]
fn after_a_resolution_as_not_charged_another_place_may_take_the_row() {
    let taken = |resolved: bool| {
        let mut run = good();
        run.sources.push(source(12, "no"));
        run.events.push(event(12, "no", Fate::Declined));
        run.told = Some(told(6, 13, &[6, 11]));
        run.second = Some(told(6, 13, &[6]));
        *run.row("no") = row(12, "no", Fate::Declined);
        run.resolutions.retain(|r| resolved || r.spot != spot(10));
        run.report()
    };
    assert_eq!(taken(true).findings, []);
    assert_eq!(taken(false).findings[0].flaw, Flaw::RowElsewhere);
}

#[test]
fn where_the_offsets_can_not_be_read_all_waits() {
    let run = Run { told: None, second: None, ..good() };
    let report = run.report();
    assert_eq!(report.findings, []);
    assert_eq!((report.count(Line::Consumed), report.count(Line::Waiting)), (0, 11));
}

#[test]
fn all_findings_are_counted_and_the_first_are_kept() {
    let mut run = good();
    run.rows.clear();
    let report = run.report_with(true, 2);
    assert_eq!(report.findings.len(), 2);
    assert!(report.found() > 6, "{:?}", report.flaws);
}
