//! `dlq`: what stands on the topic of dead letters is listed, shown and replayed, and nothing that the promise says of
//! a record ceases to hold because it was published again by it.

use std::time::UNIX_EPOCH;

use serde_json::Value;
use tollbridge_rig::TempDir;

use crate::topics::{Written, transaction_of};
use crate::world::{LIMIT, Plan, World};

/// What a command printed.
struct Said {
    out: Vec<u8>,
    err: String,
}

impl Said {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    /// One JSON object a line.
    fn json(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl World {
    /// Runs a command that must end with this code.
    #[track_caller]
    fn says(&self, code: i32, command: &str, args: &[&str]) -> Said {
        let folder = TempDir::new("says").unwrap();
        let (out, err) = (folder.join("out"), folder.join("err"));
        let process = self.command(command, "dlq", args).stdout(&out).log(&err).start().unwrap();
        let status = process.wait(LIMIT).unwrap();
        let out = std::fs::read(out).unwrap();
        let err = String::from_utf8_lossy(&std::fs::read(err).unwrap()).into_owned();
        let text = String::from_utf8_lossy(&out);
        assert_eq!(status.code(), Some(code), "{command} {args:?}: {text}\n{err}");
        Said { out, err }
    }

    /// Where the dead letters with this code stand, in the order in which they were written.
    fn letters(&self, code: &str) -> Vec<String> {
        let all = self.says(0, "dlq list", &["--json", "--code", code]).json();
        all.iter().map(|letter| letter["place"].as_str().unwrap().to_owned()).collect()
    }

    fn ends(&self) -> Vec<i64> {
        self.kafka().end_offsets(&self.topic("transactions"), self.partitions()).unwrap()
    }

    /// Replays; what was to be replayed is then processed.
    #[track_caller]
    fn replays(&self, code: i32, args: &[&str], summary: &str) -> String {
        let said = self.says(code, "dlq replay", args);
        assert_eq!(said.text().lines().last(), Some(summary), "{}", said.text());
        self.wait_done();
        said.text().to_owned()
    }

    #[track_caller]
    fn reconciles(&self) {
        let said = self.says(0, "reconcile", &["--ledger", self.ledger().to_str().unwrap()]);
        assert!(said.text().contains("\nbalanced: "), "{}", said.text());
    }
}

const INVALID: [(&str, Option<&[u8]>); 3] =
    [("shop", Some(b"s-1")), ("none", None), ("empty", Some(b""))];

/// A record that is rejected on partition 1, one that is archived, and a duplicate of that.
pub fn world_with_letters() -> (World, String) {
    let world = World::new(Plan { partitions: 2, ..Plan::default() }.quick());
    let value = transaction_of("tx-bad", 0, "pm_secret");
    let record = Written {
        key: Some(b"\xffkey"),
        headers: INVALID.to_vec(),
        ..Written::of(value.as_bytes())
    };
    world.publish_records(1, &[record]);
    world.publish(0, &["good"]);
    world.publish(0, &["good"]);
    (world, value)
}

#[test]
fn dead_letters_are_listed_and_shown_without_their_payload() {
    let (world, value) = world_with_letters();
    let processor = world.start("one");
    world.wait_done();
    let (source, letters) = (world.topic("transactions"), world.topic("dead_letter"));

    let listed = world.says(0, "dlq list", &[]);
    let lines: Vec<&str> = listed.text().lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for end in [
        format!("  rejected  bad_amount  source {source}/1/0  id -  replays 0"),
        format!("  duplicate  same_payload  source {source}/0/1  id good  replays 0"),
    ] {
        assert!(lines.iter().any(|line| line.ends_with(&end)), "{end} is not in {lines:?}");
    }
    assert!(!listed.text().contains("pm_"), "{}", listed.text());
    for count in ["1  rejected bad_amount\n", "1  duplicate same_payload\n", "2  dead letters\n"] {
        assert!(listed.err.contains(count), "{}", listed.err);
    }
    assert_eq!(world.says(0, "dlq list", &["--id", "good"]).text().lines().count(), 1);
    assert_eq!(world.says(0, "dlq list", &["--since", "1h"]).text().lines().count(), 2);
    assert_eq!(world.says(0, "dlq list", &["--until", "1h"]).text(), "");
    let latest = world.says(0, "dlq list", &["--limit", "1"]);
    assert_eq!(latest.text().lines().collect::<Vec<_>>(), lines[1..]);
    assert!(latest.err.contains("1  earlier ones, not shown (--limit)"), "{}", latest.err);

    let place = &world.letters("bad_amount")[0];
    assert!(place.starts_with(&format!("{letters}/0/")), "{place}");
    let shown = world.says(0, "dlq show", &[place]);
    for line in [
        "fate     rejected (bad_amount)".to_owned(),
        format!("source   {source}/1/0"),
        "key      4 bytes, sha256 ".to_owned(),
        format!("value    {} bytes, sha256 ", value.len()),
        "theirs   shop: s-1\ntheirs   none: null\ntheirs   empty: \nours     tollbridge-fate: rejected".into(),
        format!("ours     __connect.errors.topic: {source}"),
        "ours     kafka_dlt-original-partition: 1".into(),
        "ours     kafka_dlt-original-offset: 0".into(),
    ] {
        assert!(shown.text().contains(&line), "{line:?} is not in {}", shown.text());
    }
    assert!(!shown.text().contains("pm_"), "{}", shown.text());
    let short = place.strip_prefix(&format!("{letters}/")).unwrap();
    assert_eq!(world.says(0, "dlq show", &[short, "--value"]).out, value.as_bytes());
    let whole = &world.says(0, "dlq show", &[short, "--json"]).json()[0];
    assert_eq!((&whole["place"], &whole["fate"]), (&place.as_str().into(), &"rejected".into()));
    assert_eq!(whole["source_headers"][1], serde_json::json!({ "name": "none", "value": null }));
    world.says(1, "dlq show", &["0/99"]);
    world.says(1, "dlq show", &["7/0"]);
    world.says(2, "dlq show", &["other/0/0"]);
    world.says(
        69,
        "dlq list",
        &["--set", "kafka.brokers=127.0.0.1:1", "--set", "kafka.request_timeout=2s"],
    );
    assert_eq!(processor.terminate(), Some(0));
}

#[test]
fn a_record_is_replayed_as_it_was_and_not_for_ever() {
    let (world, value) = world_with_letters();
    let processor = world.start("one");
    world.wait_done();
    as_it_was(&world, &value);
    not_for_ever(&world);
    what_is_refused(&world);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
    world.reconciles();
}

fn as_it_was(world: &World, value: &str) {
    let (source, first) = (world.topic("transactions"), &world.letters("bad_amount")[0]);
    let before = world.ends();
    let nothing = "would replay 1, would refuse 0; nothing was changed";
    let dry = world.replays(0, &[first, "--dry-run"], nothing);
    let what = format!("{first}  rejected bad_amount: to {source}/1, replay 1");
    assert!(dry.contains(&format!("would be  {what}")), "{dry}");
    let nothing = "would replay 1, would refuse 1; nothing was changed";
    world.replays(3, &["--all", "--dry-run"], nothing);
    assert_eq!(world.ends(), before);

    let done = world.replays(0, &[first], "replayed 1, refused 0");
    assert!(done.contains(&format!("replayed  {what}")), "{done}");
    let all = world.read(&["transactions"]);
    let again = all.iter().find(|read| (read.partition, read.offset) == (1, 1)).unwrap();
    assert_eq!(again.key.as_deref(), Some(&b"\xffkey"[..]));
    assert_eq!(again.value, value.as_bytes());
    let headers = again.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let theirs = [("shop", "s-1"), ("none", ""), ("empty", "")];
    let ours = [("tollbridge-replays", "1"), ("tollbridge-replay-of", first)];
    assert_eq!(headers.collect::<Vec<_>>(), [theirs.as_slice(), &ours].concat());
    let twice = world.replays(3, &[first], "replayed 0, refused 1");
    let why = format!("it stands again on the source topic already, as {source}/1/1");
    assert!(twice.contains(&why), "{twice}");
}

fn not_for_ever(world: &World) {
    for count in [2, 3] {
        let last = world.letters("bad_amount").pop().unwrap();
        let done = world.replays(0, &[&last], "replayed 1, refused 0");
        assert!(done.contains(&format!("replay {count}")), "{done}");
    }
    let fourth = world.letters("bad_amount").pop().unwrap();
    let refused = world.replays(3, &[&fourth], "replayed 0, refused 1");
    assert!(refused.contains("its record was replayed 3 times"), "{refused}");
    let forced = world.replays(0, &[&fourth, "--force"], "replayed 1, refused 0");
    assert!(forced.contains("replay 4"), "{forced}");
    assert_eq!(world.letters("bad_amount").len(), 5);
}

fn what_is_refused(world: &World) {
    let (source, letters) = (world.topic("transactions"), world.topic("dead_letter"));
    let duplicate = &world.letters("same_payload")[0];
    let refused = world.replays(3, &[duplicate], "replayed 0, refused 1");
    assert!(refused.contains(&format!("the id stands at {source}/0/0")), "{refused}");
    world.replays(0, &[duplicate, "--force"], "replayed 1, refused 0");
    assert_eq!(world.fates("good"), ["archived", "duplicate", "duplicate"]);
    assert_eq!(world.charged("good"), 1);

    let bounded = ["--all", "--force", "--max", "2", "--rate", "1000", "--dry-run"];
    let left = "would replay 2, would refuse 0, left 5 (--max); nothing was changed";
    world.replays(0, &bounded, left);
    let gone = world.replays(3, &["0/9999", "5/0"], "replayed 0, refused 2");
    let why = format!("refused   {letters}/0/9999: there is no dead letter");
    assert!(gone.contains(&why), "{gone}");
    let other = format!("kafka.topics.transactions={}", world.topic("alerts"));
    let other = [duplicate, "--set", &other, "--set", "kafka.topics.alerts=nowhere"];
    let other = world.says(3, "dlq replay", &other);
    assert!(other.text().contains(&format!("it came from {source}")), "{}", other.text());
}

/// More than are held at a time, and more than were asked for.
#[test]
fn many_are_replayed_once_each_and_in_their_order() {
    const ALL: usize = 1_200;
    let world = World::new(Plan { partitions: 2, ..Plan::default() });
    let processor = world.start("one");
    for partition in 0..2 {
        let values: Vec<String> = (0..ALL / 2).map(|n| format!("{{\"number\":{n}}}")).collect();
        world.publish_values(partition, &values);
    }
    world.wait_done();
    let args = ["--fate", "rejected", "--rate", "100000", "--max", "1150"];
    world.replays(0, &args, "replayed 1150, refused 0, left 50 (--max)");
    let source = world.read(&["transactions"]);
    let again: Vec<_> =
        source.iter().filter(|read| !read.header("tollbridge-replay-of").is_empty()).collect();
    let of: std::collections::BTreeSet<&str> =
        again.iter().map(|read| read.header("tollbridge-replay-of")).collect();
    assert_eq!((again.len(), of.len()), (1_150, 1_150));
    for partition in 0..2 {
        let mut theirs: Vec<_> = source.iter().filter(|read| read.partition == partition).collect();
        theirs.sort_by_key(|read| read.offset);
        let (first, again) = theirs.split_at(ALL / 2);
        assert!(again.len() > 500, "{}", again.len());
        assert!(first.iter().zip(again).all(|(first, again)| first.value == again.value));
    }
    assert_eq!(processor.terminate(), Some(0));
    world.reconciles();
}

/// Whoever pays for what is replayed is not flooded. A command that was held up catches up, so that single gaps may be
/// short; no record is earlier than its turn, counted from the start.
#[test]
fn records_are_replayed_at_the_rate_that_was_asked_for() {
    const ALL: usize = 15;
    let world = World::new(Plan::default());
    let processor = world.start("one");
    let values: Vec<String> = (0..ALL).map(|n| format!("{{\"number\":{n}}}")).collect();
    world.publish_values(0, &values);
    world.wait_done();
    let now_ms = || i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let began = now_ms();
    // Each is confirmed before the next one leaves, which alone takes a tenth of a second: the rate must be lower.
    world.replays(0, &["--all", "--rate", "5"], "replayed 15, refused 0");
    let produced = world.read(&["transactions"]).into_iter().map(|read| read.timestamp_ms);
    let at: Vec<i64> = produced.skip(ALL).collect();
    assert_eq!(at.len(), ALL);
    // Two clocks are compared, of which one may be a hundredth slower.
    let early = (0..).step_by(198).zip(&at).find(|(turn, at)| **at < began + turn);
    assert_eq!(early, None, "began at {began}: {at:?}");
    assert!(at[ALL - 1] - at[0] >= 2_200, "{at:?}");
    let mut gaps: Vec<i64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    assert!(gaps[gaps.len() / 2] >= 190, "{gaps:?}");
    assert_eq!(processor.terminate(), Some(0));
    world.reconciles();
}

/// Whoever asks: what may have been charged is not published again before a person has said that it was not.
#[test]
fn a_doubt_is_replayed_once_it_was_resolved_as_not_charged_and_is_charged_once() {
    const FAULTS: &str = "[[fault]]\nkind = 'timeout-after'\nattempts = 'all'\nmatch = ['tx-charged']\n\
         [[fault]]\nkind = 'timeout-before'\nattempts = 'all'\nmatch = ['tx-not']\n\
         [[fault]]\nkind = 'error-before'\non = 'lookup'\nattempts = 'all'\nmatch = ['tx-']\n";
    let plan = Plan { faults: FAULTS, ..Plan::default() }.quick();
    let world = World::new(plan.set("gateway.key_ttl", "\"8s\""));
    let processor = world.start_warm("one");
    world.publish(0, &["tx-charged", "tx-not"]);
    world.wait_done();
    for id in ["tx-charged", "tx-not"] {
        assert_eq!(world.fates(id), ["in_doubt"], "{id}");
    }
    let before = (world.ends(), world.attempts_of("tx-"));
    for args in [&["--fate", "in_doubt"][..], &["--all", "--force"]] {
        let refused = world.replays(3, args, "replayed 0, refused 2");
        assert_eq!(
            refused.matches("is in doubt: it may have been charged").count(),
            2,
            "{refused}"
        );
    }
    assert_eq!((world.ends(), world.attempts_of("tx-")), before);

    world.says(0, "resolve", &["tx-charged", "--charged", "ch_1", "--by", "ada"]);
    world.says(0, "resolve", &["tx-not", "--not-charged", "--by", "ada"]);
    world.restart_gateway("");
    let done = world.replays(3, &["--fate", "in_doubt"], "replayed 1, refused 1");
    assert!(done.contains("tx-charged is archived since"), "{done}");
    assert_eq!(world.fates("tx-charged").len(), 2, "a doubt and its resolution");
    assert_eq!(world.fates("tx-not").pop().unwrap(), "archived");
    for id in ["tx-charged", "tx-not"] {
        let row = world.rows().into_iter().find(|row| row.id == id).unwrap();
        assert_eq!((row.fate.as_str(), world.charged(id)), ("archived", 1), "{id}");
    }
    let again = world.replays(3, &["--all", "--force"], "replayed 0, refused 2");
    assert!(again.contains("tx-not is archived since"), "{again}");
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
    world.reconciles();
}

/// Old dead letters go. What is in doubt stays until somebody has said what became of it, and what `reconcile` looks
/// for as long as its record stands.
#[test]
fn dead_letters_are_purged_but_for_those_that_are_needed() {
    const FAULTS: &str = "[[fault]]\nkind = 'timeout-before'\nattempts = 'all'\nmatch = ['tx-not']\n\
         [[fault]]\nkind = 'error-before'\non = 'lookup'\nattempts = 'all'\nmatch = ['tx-']\n";
    let plan = Plan { faults: FAULTS, ..Plan::default() }.quick();
    let world = World::new(plan.set("gateway.key_ttl", "\"8s\""));
    let processor = world.start_warm("one");
    let purge = |code, args: &[&str], summary: &str| {
        let said = world.says(code, "dlq purge", args);
        assert_eq!(said.text().lines().last(), Some(summary), "{}", said.text());
        said.text().to_owned()
    };
    let left = || world.says(0, "dlq list", &[]).text().lines().count();
    let all = "2100-01-01";
    world.publish(0, &["good"]);
    world.publish(0, &["good"]);
    world.wait_done();
    world.publish(0, &["tx-not"]);
    world.wait_done();
    world.publish(0, &["good"]);
    world.wait_done();
    assert_eq!(left(), 3);

    purge(0, &["--until", "1h"], "purged 0");
    let said = purge(3, &["--until", all], "purged 0; 1 partitions keep some");
    assert!(said.contains("its record still stands on the source topic"), "{said}");
    let would = "would purge 1; 1 partitions keep some; nothing was changed";
    purge(3, &["--until", all, "--force", "--dry-run"], would);
    assert_eq!(left(), 3);
    let said = purge(3, &["--until", all, "--force"], "purged 1; 1 partitions keep some");
    assert!(said.contains("tx-not is in doubt"), "{said}");
    assert_eq!(left(), 2, "the doubt, and what stands behind it");

    world.says(0, "resolve", &["tx-not", "--not-charged", "--by", "ada"]);
    purge(0, &["--until", all, "--force"], "purged 2");
    assert_eq!(left(), 0);

    world.publish(0, &["good"]);
    world.wait_done();
    purge(3, &["--until", all], "purged 0; 1 partitions keep some");
    world.kafka().delete_records(&world.topic("transactions"), &world.ends()).unwrap();
    purge(0, &["--until", all], "purged 1");
    assert_eq!(left(), 0);
    assert_eq!(processor.terminate(), Some(0));
    world.reconciles();
}
