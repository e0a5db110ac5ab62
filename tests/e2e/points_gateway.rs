//! What the gateway says, and what is made of it: no doubt is resolved by the clock or by a decline that may not be
//! one (points 10 and 11).

use std::time::Duration;

use tollbridge::domain::id::{Offset, RecipeHash};
use tollbridge::wire::metadata::Metadata;
use tollbridge_rig::TempDir;

use crate::profiles::profile;
use crate::sight::{stays, wait};
use crate::topics::ids;
use crate::world::{Plan, World};

fn quick(faults: &'static str) -> Plan {
    Plan { faults, ..Plan::default() }.quick()
}

/// The second request is declined; the first one may have been charged meanwhile. So is a decline whose code means "I
/// had this already". Only the gateway's first word on what was surely never asked before is taken at once.
#[test]
fn point_10_a_decline_that_is_not_surely_the_first_word_is_looked_up() {
    const FAULTS: &str = "[[fault]]\nkind = 'timeout-before'\nmatch = ['tx-poor']\n\
                          [[fault]]\nkind = 'decline'\nattempts = [2]\nmatch = ['tx-poor']\n\
                          [[fault]]\nkind = 'duplicate-code'\nmatch = ['tx-code']\n\
                          [[fault]]\nkind = 'decline'\nmatch = ['tx-first']\n";
    let world = World::new(quick(FAULTS));
    let processor = world.start_warm("one");
    let lookups = || processor.metric("tollbridge_gateway_requests_total", "kind=\"lookup\"");
    world.publish(0, &["tx-first"]);
    world.wait_done();
    assert_eq!((world.attempts("tx-first").len(), world.fates("tx-first")), (1, said("declined")));
    world.publish(0, &["tx-code"]);
    world.wait_done();
    assert_eq!((world.attempts("tx-code").len(), world.fates("tx-code")), (1, said("archived")));
    wait("the lookup of the code", || lookups() >= 1);
    let before = lookups();

    world.publish(0, &["tx-poor"]);
    world.wait_done();
    assert_eq!((world.attempts("tx-poor").len(), world.fates("tx-poor")), (2, said("declined")));
    wait("a lookup before the second request and one after it", || lookups() >= before + 2);
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Where lookups never tell, nothing waits for as long as its key lives: what can be asked for again safely is.
#[test]
fn a_lookup_that_never_tells_gives_way_to_another_request() {
    let folder = TempDir::new("profile").unwrap();
    let elsewhere =
        [("path = \"/charges/{transaction_id}\"", "path = \"/nowhere/{transaction_id}\"")];
    let file = profile(&folder, "generic", &elsewhere);
    let plan = quick("[[fault]]\nkind = 'timeout-after'\nmatch = ['tx-']\n");
    let world = World::new(plan.set("gateway.profile_file", &format!("{file:?}")));
    let processor = world.start_warm("one");
    let lookups = || processor.metric("tollbridge_gateway_requests_total", "kind=\"lookup\"");
    world.publish(0, &["tx-1"]);
    world.wait_done();
    assert!(lookups() >= 1);
    assert_eq!((world.attempts("tx-1").len(), world.charged("tx-1")), (2, 1));
    assert_eq!(world.fates("tx-1"), said("archived"));
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// Of a gateway that decides anew after a decline, and whose lookups may lag behind: what one shows may be of the first
/// request, while the second has charged.
#[test]
fn a_decline_that_need_not_be_of_the_last_request_is_a_doubt() {
    const FAULTS: &str = "[[fault]]\nkind = 'timeout-before'\nmatch = ['tx-']\n\
                          [[fault]]\nkind = 'decline'\nattempts = [2]\nmatch = ['tx-']\n\
                          [[fault]]\nkind = 'decline'\nmatch = ['only-']\n";
    let folder = TempDir::new("profile").unwrap();
    let anew = [
        ("replays = \"all\"", "replays = \"approvals\""),
        ("consistent = \"at_once\"", "consistent = \"never\""),
    ];
    let file = profile(&folder, "generic", &anew);
    let plan = quick(FAULTS).set("gateway.profile_file", &format!("{file:?}"));
    let world = World::new(plan.set("gateway.key_ttl", "\"8s\""));
    let processor = world.start_warm("one");
    world.publish(0, &["tx-twice", "only-once"]);
    world.wait_done();
    assert_eq!(
        (world.attempts("only-once").len(), world.fates("only-once")),
        (1, said("declined"))
    );
    assert_eq!((world.attempts("tx-twice").len(), world.fates("tx-twice")), (2, said("in_doubt")));
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// A gateway that is away for some, such as those of one bank, is not away: the single calls that go out then are not
/// all for those that it never answers, and none waits until it has been silent about another.
#[test]
fn transactions_that_are_never_answered_hold_no_others_up() {
    const FAULTS: &str = "[[fault]]\nkind = 'timeout-before'\nattempts = 'all'\nmatch = ['stuck-']\n\
         [[fault]]\nkind = 'timeout-before'\nmatch = ['late-']\n";
    let world = World::new(quick(FAULTS).set("gateway.max_in_flight", "8"));
    let processor = world.start("one");
    let stuck = ids("stuck", 16);
    // These are answered when they are asked for again; those at once.
    let (late, fresh) = (ids("late", 8), ids("fresh", 4));
    let are_archived = |ids: &[String]| ids.iter().all(|id| world.fates(id) == said("archived"));
    for some in [&stuck, &late, &fresh] {
        world.publish(0, some);
    }
    wait("all others", || are_archived(&fresh) && are_archived(&late));
    assert!(stuck.iter().all(|id| world.fates(id).is_empty()), "they are not answered yet");

    world.restart_gateway("");
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

fn said(fate: &str) -> Vec<String> {
    vec![fate.to_owned()]
}

/// As if another version had left the partition, with other bodies: what it may have asked for is looked up, and is
/// parked where the gateway knows nothing; what it cannot have asked for is charged.
#[test]
fn point_10_what_was_asked_with_another_recipe_is_never_sent_again() {
    const FAULTS: &str = "[[fault]]\nkind = 'timeout-before'\nmatch = ['tx-unseen']\n\
                          [[fault]]\nkind = 'timeout-after'\nmatch = ['tx-charged']\n";
    let world = World::new(Plan { nameless: true, ..quick(FAULTS) });
    let processor = world.start_with("one", &["--set", "sweep.min_age=1h"]);
    world.publish(0, &["tx-unseen", "tx-charged"]);
    wait("both requests", || world.attempts_of("tx-") == 2);
    assert_eq!(processor.terminate(), Some(0));

    let (watermark, text) = world.committed(0).unwrap();
    let mut metadata = Metadata::decode(Offset(watermark), &text).unwrap();
    metadata.recipe = RecipeHash(metadata.recipe.0 ^ 1);
    world.commit(0, watermark, &metadata.encode(Offset(watermark)));
    assert_eq!(metadata.bound, Offset(2), "both may have been asked for, and nothing after them");
    world.publish(0, &["new"]);

    let processor = world.start("one");
    world.wait_done();
    assert_eq!(world.attempts_of("tx-"), 2, "nothing was sent again");
    assert_eq!((world.fates("tx-charged"), world.charged("tx-charged")), (said("archived"), 1));
    let doubt = world.events_of("tx-unseen").pop().unwrap();
    assert_eq!((doubt.fate.as_str(), world.charged("tx-unseen")), ("in_doubt", 0));
    assert_eq!((world.fates("new"), world.charged("new")), (said("archived"), 1));
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// One transaction for each way in which a gateway fails to answer. None is a decline, none is given up, none is
/// charged twice.
#[test]
fn point_11_an_outage_is_neither_a_decline_nor_a_dead_letter() {
    const FAULTS: &str = "\
        [[fault]]\nkind = 'error-before'\nstatus = 401\nmatch = ['tx-401']\n\
        [[fault]]\nkind = 'error-before'\nstatus = 403\nmatch = ['tx-403']\n\
        [[fault]]\nkind = 'error-before'\nstatus = 404\nmatch = ['tx-404']\n\
        [[fault]]\nkind = 'error-before'\nstatus = 408\nmatch = ['tx-408']\n\
        [[fault]]\nkind = 'error-before'\nstatus = 409\nmatch = ['tx-409']\n\
        [[fault]]\nkind = 'error-before'\nstatus = 422\nmatch = ['tx-422']\n\
        [[fault]]\nkind = 'error-before'\nstatus = 425\nmatch = ['tx-425']\n\
        [[fault]]\nkind = 'throttle'\nretry_after = '1s'\nmatch = ['tx-429']\n\
        [[fault]]\nkind = 'error-before'\nstatus = 500\nmatch = ['tx-500']\n\
        [[fault]]\nkind = 'error-after'\nstatus = 502\nmatch = ['tx-502']\n\
        [[fault]]\nkind = 'error-after'\nstatus = 503\nattempts = [1, 2]\nmatch = ['tx-503']\n\
        [[fault]]\nkind = 'error-before'\nstatus = 302\nmatch = ['tx-302']\n\
        [[fault]]\nkind = 'html'\nmatch = ['tx-html']\n\
        [[fault]]\nkind = 'garbage'\nmatch = ['tx-garbage']\n\
        [[fault]]\nkind = 'wrong-id'\nmatch = ['tx-wrong-id']\n\
        [[fault]]\nkind = 'wrong-amount'\nmatch = ['tx-wrong-amount']\n\
        [[fault]]\nkind = 'cut-before'\nmatch = ['tx-cut-before']\n\
        [[fault]]\nkind = 'cut-after'\nmatch = ['tx-cut-after']\n\
        [[fault]]\nkind = 'cut-midway'\nmatch = ['tx-cut-midway']\n\
        [[fault]]\nkind = 'html'\non = 'lookup'\nmatch = ['tx-502', 'tx-403']\n";
    let ways = [
        "401",
        "403",
        "404",
        "408",
        "409",
        "422",
        "425",
        "429",
        "500",
        "502",
        "503",
        "302",
        "html",
        "garbage",
        "wrong-id",
        "wrong-amount",
        "cut-before",
        "cut-after",
        "cut-midway",
    ];
    let world = World::new(quick(FAULTS));
    let processor = world.start_warm("one");
    let ids: Vec<String> = ways.iter().map(|way| format!("tx-{way}")).collect();
    world.publish(0, &ids);
    world.wait_done();
    for id in &ids {
        assert_eq!((world.fates(id), world.charged(id)), (said("archived"), 1), "{id}");
        let attempts = world.attempts(id);
        assert!(attempts.iter().all(|again| again.body_sha256 == attempts[0].body_sha256), "{id}");
    }
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}

/// The whole gateway is away: requests that were surely not sent are no attempts, and all go out once it is back.
#[test]
fn point_11_a_gateway_that_is_away_is_waited_for() {
    let world = World::new(quick(""));
    let processor = world.start_warm("one");
    world.kill_gateway();
    world.publish(0, &ids("tx", 40));
    wait("the temp queue", || world.depths() == (40, 0));
    wait("an unready processor", || processor.readiness().contains("\"ready\":false"));
    stays("nothing is given up", Duration::from_millis(700), || world.events().len() == 1);
    world.start_gateway();
    world.wait_done();
    for event in world.events() {
        assert_eq!((event.fate.as_str(), world.charged(&event.id)), ("archived", 1));
    }
    assert_eq!(processor.terminate(), Some(0));
    world.balance();
}
