//! Processors at payment gateways that nobody here wrote. How each answer is read, and in what these servers differ
//! from Stripe, is `tests/foreign`'s.

use std::collections::BTreeMap;

use tollbridge_rig::{Foreign, TempDir};

use crate::profiles::profile;
use crate::sight::wait;
use crate::topics::{ids, transaction_of};
use crate::world::{Plan, World};

/// No more than a list shows at once.
const COUNT: usize = 90;
const AT_ONCE: usize = 4;
const DECLINED_EVERY: usize = 4;

/// Whose processors speak to the server as this file says.
fn world(server: &Foreign, profile: &str) -> World {
    let quoted = |text: &str| format!("{text:?}");
    let plan = Plan::default()
        .quick()
        .set("gateway.url", &quoted(&server.url()))
        .set("gateway.credential", &quoted(server.credential()))
        .set("gateway.max_in_flight", &AT_ONCE.to_string());
    World::new(plan.set("gateway.profile_file", &quoted(profile)))
}

/// What the server has under each transaction's id: the states of all its records.
fn states(server: &Foreign, list: &str) -> BTreeMap<String, Vec<String>> {
    let found = server.get(list).unwrap();
    let mut states = BTreeMap::<String, Vec<String>>::new();
    for record in found["data"].as_array().unwrap() {
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let of = states.entry(text(&record["metadata"]["transaction_id"])).or_default();
        of.push(text(&record["status"]));
    }
    states
}

/// Publishes, kills the processor in the middle, lets another go on; each must have been asked for once.
fn charges_each_once(world: &World, server: &Foreign, list: &str, all: &[(String, &str, bool)]) {
    let values: Vec<String> =
        all.iter().map(|(id, paying, _)| transaction_of(id, 1250, paying)).collect();
    let processor = world.start("one");
    world.publish_values(0, &values);
    wait("some to be asked for", || states(server, list).len() >= AT_ONCE);
    processor.kill();
    let processor = world.start("one");
    world.wait_done();
    assert_eq!(processor.terminate(), Some(0));
    let states = states(server, list);
    let mut fates = BTreeMap::<String, Vec<String>>::new();
    for event in world.events() {
        fates.entry(event.id).or_default().push(event.fate);
    }
    assert_eq!((states.len(), fates.len()), (all.len(), all.len()));
    for (id, _, is_declined) in all {
        let fate = if *is_declined { "declined" } else { "archived" };
        assert_eq!(fates[id], [fate], "{id}");
        assert_eq!(states[id].len(), 1, "{id}: {:?}", states[id]);
        assert_eq!(states[id][0] == "succeeded", !is_declined, "{id}: {:?}", states[id]);
    }
    assert_eq!(world.rows().len(), all.len());
}

/// Stripe's Charges. The mock has no search, so the profile has no lookup, and what a dead processor may have asked for
/// is asked for again. Nothing is declined here: without a lookup that could not be confirmed.
#[test]
#[ignore = "make foreign"]
fn a_killed_processor_leaves_each_charge_made_once() {
    let server = Foreign::stateful_mock().unwrap();
    let folder = TempDir::new("charges").unwrap();
    let search = "[lookup]
path = \"/v1/charges/search?query=metadata%5B%27transaction_id%27%5D%3A%27{transaction_id}%27\"
list = \"/data\"
consistent = \"never\"

[lookup.headers]
Stripe-Version = \"2024-06-20\"
";
    let file = profile(&folder, "stripe-charges", &[(search, "")]);
    let world = world(&server, &file);
    let all: Vec<_> = ids("charge", COUNT).into_iter().map(|id| (id, "tok_visa", false)).collect();
    charges_each_once(&world, &server, "/v1/charges?limit=100", &all);
}

/// Stripe's PaymentIntents, with the two places of the profile changed that the replica takes otherwise.
#[test]
#[ignore = "make foreign"]
fn a_killed_processor_leaves_each_intent_made_once_and_declines_stay_declines() {
    let server = Foreign::stripe_world().unwrap();
    let folder = TempDir::new("intents").unwrap();
    let changes = [
        ("error_on_requires_action = true\n", ""),
        ("%27{transaction_id}%27", "%22{transaction_id}%22"),
    ];
    let file = profile(&folder, "stripe", &changes);
    let method = |token: &str| server.payment_method(&format!("card[token]={token}")).unwrap();
    let (good, poor) = (method("tok_visa"), method("tok_visa_chargeDeclinedInsufficientFunds"));
    let world = world(&server, &file);
    let paying = |(number, id)| match number % DECLINED_EVERY {
        0 => (id, poor.as_str(), true),
        _ => (id, good.as_str(), false),
    };
    let all: Vec<_> = ids("intent", COUNT).into_iter().enumerate().map(paying).collect();
    charges_each_once(&world, &server, "/v1/payment_intents?limit=100", &all);
}
