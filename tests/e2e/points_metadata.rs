//! What stands beside the committed offset: it is believed only where it can be read and belongs here (points 1, 15
//! and 16), and never grows over what the broker keeps (point 2).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sight::{stays, wait};
use crate::topics::ids;
use crate::world::{METADATA_MAX, Plan, World};

const WHILE: Duration = Duration::from_millis(500);

/// Without an identity: such a member is out of the group as soon as it ends, so that others may set its offsets.
fn nameless(partitions: u32) -> Plan {
    Plan { nameless: true, partitions, ..Plan::default() }.quick()
}

/// Text of another program, a damaged one, and one that belongs to another offset each stop their partition alone.
#[test]
fn point_01_metadata_that_cannot_be_read_stops_its_partition_and_drops_nothing() {
    let world = World::new(nameless(2));
    let processor = world.start_warm("one");
    world.publish(0, &ids("done", 3));
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    let (offset, good) = world.committed(0).unwrap();
    assert_eq!(offset, 4);
    let damaged: String = good.chars().skip(1).collect();
    let bad = [
        (offset, "0123456789", "can't be read"),
        (offset, damaged.as_str(), "can't be read"),
        (offset - 2, good.as_str(), "beside another offset"),
    ];
    world.publish(0, &["tx-0"]);
    for (number, (offset, text, why)) in bad.into_iter().enumerate() {
        world.commit(0, offset, text);
        let processor = world.launch("one", &[]);
        processor.wait_refuses(why);
        let other = format!("other-{number}");
        world.publish(1, &[&other]);
        wait("the other partition goes on", || world.fates(&other) == ["archived"]);
        assert!(world.attempts("tx-0").is_empty() && world.depths() == (0, 0));
        assert_eq!(processor.terminate(), Some(0));
        assert_eq!(world.committed(0).unwrap(), (offset, text.to_owned()));
    }

    world.commit(0, offset, &good);
    let processor = world.start("one");
    world.wait_done();
    assert_eq!(world.fates("tx-0"), ["archived"]);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Every second of a thousand stays unfinished. The broker of these tests keeps 128 characters: the cut is raised no
/// further than they hold, what is finished above it waits, and charging goes on.
#[test]
fn point_02_metadata_never_overflows_however_many_offsets_are_unfinished() {
    const STUCK: &str = "[[fault]]\nkind = 'error-before'\nstatus = 503\nmatch = ['stuck-']\n";
    let plan = Plan { faults: STUCK, ..Plan::default() }
        .set("gateway.timeout", "\"5s\"")
        .set("sweep.min_age", "\"5500ms\"");
    let world = World::new(plan);
    let mixed: Vec<String> =
        ids("stuck", 500).into_iter().zip(ids("tx", 500)).flat_map(|(a, b)| [a, b]).collect();
    // Nobody is asked for again here.
    let long = ["gateway.timeout=1m", "sweep.min_age=1h", "shutdown.timeout=2m"];
    let processor = world.start_with("one", &long.map(|set| ["--set", set]).concat());
    world.publish(0, &mixed);
    wait("all requests", || world.attempts_of("") == 1000);
    wait("all rows that can be", || world.rows_of("tx-") == 500);
    wait("the first events", || !world.events().is_empty());
    let told = || world.committed(0).map_or(0, |(_, metadata)| metadata.chars().count());
    let cut_lag = || processor.metric("tollbridge_cut_lag", "");
    wait("a cut as far up as the list reaches", || (300..900).contains(&cut_lag()));
    stays("within the limit", WHILE, || told() <= METADATA_MAX && world.events().len() < 500);
    world.publish(0, &["late"]);
    wait("charging goes on", || world.rows_of("late") == 1);
    processor.kill();

    // The next owner is told which are finished, and of those above the cut the store knows.
    let processor = world.start("one");
    world.wait_done();
    let mut attempts: BTreeMap<bool, Vec<usize>> = BTreeMap::new();
    for id in &mixed {
        attempts.entry(id.starts_with("tx-")).or_default().push(world.attempts(id).len());
    }
    assert_eq!(attempts[&true], [1; 500], "what was approved is not asked for again");
    assert_eq!(attempts[&false], [2; 500]);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Another database cannot know what was charged: the partition is refused, and goes on with the right one.
#[test]
fn point_15_another_store_is_refused() {
    let world = World::new(nameless(1));
    let processor = world.start_warm("one");
    assert_eq!(processor.terminate(), Some(0));
    world.publish(0, &["tx"]);
    let other = format!("store.url=sqlite:{}", world.folder.join("other.db").display());
    world.command("migrate", "other", &["--set", &other]).run(crate::world::LIMIT).unwrap();
    let processor = world.launch("one", &["--set", &other]);
    processor.wait_refuses("point store.url at the old store");
    stays("nothing is charged", WHILE, || world.attempts("tx").is_empty());
    assert_eq!(processor.terminate(), Some(0));

    let processor = world.start("one");
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Kafka forgot the offsets, or holds one without metadata, and the store knows that there were some.
#[test]
fn point_16_a_known_partition_without_an_offset_stops_until_the_reset_is_accepted() {
    let world = World::new(nameless(1));
    let processor = world.start_warm("one");
    world.publish(0, &ids("done", 5));
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    let before = world.events();
    world.publish(0, &["tx"]);

    for forget in [World::delete_offsets, |world: &World| world.commit(0, 6, "")] {
        forget(&world);
        let processor = world.launch("one", &[]);
        processor.wait_refuses("--accept-offset-reset");
        stays("nothing is charged", WHILE, || world.attempts("tx").is_empty());
        assert_eq!(processor.terminate(), Some(0));
    }

    world.delete_offsets();
    let processor = world.start_with("one", &["--accept-offset-reset"]);
    world.wait_done();
    assert_eq!(world.fates("tx"), ["archived"]);
    assert_eq!(world.charges().len(), 7, "the store knew all others");
    // They are reported again, under the same ids.
    for event in before {
        let again = world.events_of(&event.id);
        assert_eq!((again.len(), &again[1].read.value), (2, &again[0].read.value), "{}", event.id);
    }
    assert_eq!(processor.terminate(), Some(0));
}

/// An owner that was finishing old work commits its offset for the topic that has meanwhile been made anew, and which
/// has a record at that offset, too.
#[test]
fn point_16_an_offset_of_a_topic_that_was_made_anew_is_refused() {
    let world = World::new(nameless(1));
    let processor = world.start_warm("one");
    world.publish(0, &ids("old", 5));
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    let (offset, metadata) = world.committed(0).unwrap();
    world.make_anew();
    world.publish(0, &ids("new", 20));
    world.commit(0, offset, &metadata);

    let processor = world.launch("one", &[]);
    processor.wait_refuses("another topic of this name");
    stays("nothing is charged", WHILE, || world.attempts_of("new") == 0);
    assert_eq!(processor.terminate(), Some(0));
    assert_eq!(world.committed(0), Some((offset, metadata)));

    let processor = world.start_with("one", &["--accept-offset-reset"]);
    world.wait_done();
    assert_eq!(world.rows_of("new"), 20, "also what lies below the old offset");
    assert_eq!(processor.terminate(), Some(0));
    let processor = world.start("one");
    world.publish(0, &["later"]);
    world.wait_done();
    assert_eq!(world.fates("later"), ["archived"]);
    assert_eq!(processor.terminate(), Some(0));
}
