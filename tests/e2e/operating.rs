//! The procedures of docs/operating.md, carried out as they are written there.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tollbridge_rig::TempDir;

use crate::profiles::profile;
use crate::sight::wait;
use crate::topics::ids;
use crate::world::{LIMIT, Plan, Processor, World};

/// Work comes in, partition by partition, for as long as `during` takes; all of it is then done, and none is in doubt.
fn under_load(world: &World, during: impl FnOnce()) {
    /// However `during` ends: a scope waits for its threads.
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = Over(&is_over);
        scope.spawn(|| {
            let mut wave = 0;
            while !is_over.load(Ordering::Relaxed) {
                for partition in 0..world.partitions() {
                    world.publish(partition, &ids(&format!("w{wave}-{partition}"), 10));
                }
                wave += 1;
                std::thread::sleep(Duration::from_millis(150));
            }
        });
        wait("the first work", || world.rows_of("w0-") == 10 * world.partitions() as usize);
        during();
    });
    world.wait_done();
    let of = |fate: &str| world.events().iter().filter(|event| event.fate == fate).count();
    assert_eq!(of("in_doubt"), 0);
    assert!(of("archived") > 100);
}

fn plan() -> Plan {
    let plan = Plan { partitions: 4, latency: Some("20ms"), ..Plan::default() };
    plan.quick()
}

fn share(processors: &[&Processor], each: usize) {
    wait("a share for each", || processors.iter().all(|p| p.owned().len() == each));
}

/// It ends in order, and another one takes its place.
fn replace(world: &World, processor: &mut Processor) {
    let name = processor.name.clone();
    assert_eq!(processor.process.terminate(LIMIT).unwrap().code(), Some(0));
    *processor = world.start(&name);
}

#[test]
fn processes_are_replaced_one_at_a_time_under_load() {
    let world = World::new(plan());
    let (mut one, mut two) = (world.start("one"), world.start("two"));
    share(&[&one, &two], 2);
    under_load(&world, || {
        world.command("migrate", "setup", &[]).run(LIMIT).unwrap();
        for old in [&mut one, &mut two] {
            replace(&world, old);
        }
        share(&[&one, &two], 2);
    });
    assert_eq!([one.terminate(), two.terminate()], [Some(0); 2]);
    world.balance();
}

#[test]
fn processes_come_and_go_under_load() {
    let world = World::new(plan());
    let one = world.start("one");
    under_load(&world, || {
        let (two, three) = (world.start("two"), world.start("three"));
        wait("a share for each", || [&one, &two, &three].iter().all(|p| !p.owned().is_empty()));
        assert_eq!([two.terminate(), three.terminate()], [Some(0); 2]);
        share(&[&one], 4);
    });
    assert_eq!(one.terminate(), Some(0));
    world.balance();
}

/// The gateway accepts both for a while. Without that nothing is lost either: a key that is refused is no decline.
#[test]
fn the_gateways_credential_is_exchanged_under_load() {
    let folder = TempDir::new("credentials").unwrap();
    let (known, ours) = (folder.join("known"), folder.join("ours"));
    // The gateway reads its file at each request, so it must never find one that is half written.
    let write = |file: &Path, text| {
        let fresh = file.with_extension("fresh");
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(&fresh, file).unwrap();
    };
    write(&known, "Bearer old\n");
    write(&ours, "Bearer old");
    let plan =
        plan().set("gateway.header_files.authorization", &format!("{:?}", ours.to_str().unwrap()));
    let world = World::new(Plan { credentials: Some(known.clone()), ..plan });
    let (mut one, mut two) = (world.start("one"), world.start("two"));
    share(&[&one, &two], 2);
    let unclear =
        |p: &Processor| p.metric("tollbridge_gateway_answers_total", "outcome=\"unknown\"");
    under_load(&world, || {
        write(&known, "Bearer old\nBearer new\n");
        write(&ours, "Bearer new");
        for old in [&mut one, &mut two] {
            assert_eq!(unclear(old), 0);
            replace(&world, old);
        }
        write(&known, "Bearer new\n");
        share(&[&one, &two], 2);
    });
    assert_eq!((unclear(&one), unclear(&two)), (0, 0));

    write(&known, "Bearer newest\n");
    world.publish(0, &["refused"]);
    wait("a refusal", || unclear(&one) + unclear(&two) > 0);
    write(&ours, "Bearer newest");
    assert_eq!([one.terminate(), two.terminate()], [Some(0); 2]);
    let one = world.start("one");
    world.wait_done();
    assert_eq!((world.charged("refused"), world.fates("refused").len()), (1, 1));
    assert_eq!(one.terminate(), Some(0));
    world.balance();
}

/// What had no answer when the profile changed is looked up and never sent with the other body; all others are
/// charged as the new profile says.
#[test]
fn a_profile_is_changed_between_two_lives() {
    const FAULTS: &str = "[[fault]]\nkind = 'timeout-after'\nmatch = ['tx-open']\n";
    let folder = TempDir::new("profile").unwrap();
    let file = profile(&folder, "generic", &[]);
    let plan = Plan { faults: FAULTS, ..Plan::default() }.quick();
    let world = World::new(plan.set("gateway.profile_file", &format!("{file:?}")));
    let one = world.start_warm("one");
    world.publish(0, &["tx-open"]);
    wait("its request", || world.attempts_of("tx-open") == 1);
    assert_eq!(one.terminate(), Some(0));
    profile(
        &folder,
        "generic",
        &[("description = \"{description}\"", "description = \"paid by us\"")],
    );
    world.publish(0, &["tx-new"]);
    let one = world.start("one");
    world.wait_done();
    assert_eq!((world.attempts_of("tx-open"), world.fates("tx-open").len()), (1, 1));
    for id in ["tx-open", "tx-new"] {
        let row = world.rows().into_iter().find(|row| row.id == id).unwrap();
        assert_eq!((row.fate.as_str(), world.charged(id)), ("archived", 1), "{id}");
    }
    assert_eq!(one.terminate(), Some(0));
    world.balance();
}
